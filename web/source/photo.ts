/** `photo`, of architectures photo-1 and photo-2 (format/SPEC.md, sections 6 and 9). */

import { type Box, areaOf, scaled, sizeOf } from './grid.ts';
import type { Kernel } from './kernel.ts';
import {
  type EncodedTile,
  type Measured,
  type Model,
  type Picture,
  type Pixels,
  type Tick,
  kept,
  layersOf,
  pixelPlane,
  putNumbers,
} from './model.ts';
import { type Plane, newPlane, pitchOf, runLayers } from './planes.ts';
import { type Block, Prior } from './prior.ts';
import type { ModelFile } from './tensors.ts';
import {
  type TransformConfig,
  exactSynthesis,
  photoAnalysis,
  photoSynthesis,
} from './transform.ts';

interface Codebooks {
  readonly blocks: readonly Block[];
  readonly rest: Int16Array;
  readonly codewords: readonly number[];
}

/** `photo` of both architectures. */
export class Photo implements Model {
  readonly name: string;
  readonly strideLog2 = 4;
  readonly qualities: number;
  readonly qualityScale: number;
  readonly window = 64;
  readonly codebookSize: number;
  readonly decoderHalo: number;
  readonly encoderHalo: number;
  readonly decoderLayers: number;
  readonly encoderLayers: number;
  private readonly config: TransformConfig;
  private readonly analysisDepths: readonly [number, number, number];
  private readonly synthesis: ReturnType<typeof photoSynthesis>;
  private analysis: ReturnType<typeof photoAnalysis> | undefined;
  private readonly codebooks = new Map<number, Codebooks>();
  private readonly priors = new Map<number, Prior>();

  constructor(
    readonly kernel: Kernel,
    private readonly file: ModelFile,
    readonly sha256: string,
    private readonly isExact: boolean,
  ) {
    const { transform, product, name } = file.metadata;
    this.name = String(name ?? '');
    const depths = isExact ? transform.synthesis_depths : transform.depths;
    this.analysisDepths = isExact ? transform.analysis_depths : transform.depths;
    this.config = { ...transform, depths };
    this.qualities = transform.qualities;
    this.qualityScale = isExact ? 16 : 1;
    this.codebookSize = product.codebook_size;
    this.synthesis = (isExact ? exactSynthesis : photoSynthesis)(kernel, file, this.config);
    const [a, b, c] = depths;
    this.decoderHalo = 1 + 2 * c + Math.ceil((2 * a + 1 + 4 * b) / 4);
    const [finest, between, coarsest] = this.analysisDepths;
    this.encoderHalo = 2 * coarsest + Math.ceil((1 + 2 * finest + 1 + 2 * (2 * between + 1)) / 4);
    this.decoderLayers = layersOf(this.synthesis.transform, this.synthesis.details);
    this.encoderLayers = 5 + finest + between + coarsest;
  }

  groups(quality: number): number {
    return this.books(quality).codewords.length;
  }

  codewords(quality: number): readonly number[] {
    return this.books(quality).codewords;
  }

  prior(quality: number): Prior {
    const { latent_prior: config } = this.file.metadata;
    const reads = this.config.latents - this.config.details;
    const { blocks } = this.books(quality);
    const level = this.level(quality);
    return kept(this.priors, level, () =>
      Prior.gaussian(this.kernel, this.file, config, reads, blocks, level),
    );
  }

  draw(indices: Uint16Array, box: Box, quality: number, inner: Box, tick: Tick): Pixels {
    const { kernel, config, synthesis } = this;
    const { rows, columns } = sizeOf(box);
    const { rows: height, columns: width } = sizeOf(scaled(inner, 16));
    return kernel.scope(({ allocate, own }) => {
      const coarse = own(newPlane(kernel, rows, columns, config.latents - config.details));
      const fine = own(newPlane(kernel, rows, columns, config.details));
      this.putLatents(indices, quality, coarse, fine);
      const plane = own(runLayers(kernel, synthesis.transform, coarse, inner, tick));
      const details = own(runLayers(kernel, synthesis.details, fine, inner, tick));
      const pixels = allocate(height * width * 4);
      kernel.call.draw(
        ...[plane.pointer, plane.columns, 4, details.pointer, details.columns, 16],
        ...[Number(this.isExact), height, width, pixels],
      );
      return new Uint8ClampedArray(kernel.bytes(pixels, height * width * 4));
    });
  }

  measure(picture: Picture, inner: Box, tick: Tick): Measured {
    const { kernel } = this;
    const { latents, details } = this.config;
    const depths = this.analysisDepths;
    this.analysis ??= photoAnalysis(kernel, this.file, { ...this.config, depths });
    const { transform, details: linear } = this.analysis;
    const numbers = new Float32Array(areaOf(inner) * latents);
    const wanted = scaled(inner, 16);
    return kernel.scope(({ own }) => {
      const source = own(pixelPlane(kernel, picture, 16));
      const coarse = own(runLayers(kernel, transform, source, wanted, tick));
      putNumbers(kernel, coarse, numbers, 0, latents);
      const fine = own(runLayers(kernel, linear, source, wanted, tick));
      putNumbers(kernel, fine, numbers, latents - details, latents);
      return { numbers, depth: latents };
    });
  }

  encode(measured: Float32Array, box: Box, quality: number, weight: number): EncodedTile {
    const { latents } = this.config;
    const gains = this.gains(quality);
    const most = 32768;
    const scaledLatents = Float32Array.from(measured, (value, place) => {
      const latent = Math.fround(value * gains[place % latents]);
      return Number.isNaN(latent) ? 0 : Math.min(most, Math.max(-most, latent));
    });
    const { distance_bits: distanceBits } = this.file.metadata.product;
    return this.prior(quality).encode(scaledLatents, sizeOf(box), weight / 16 / distanceBits);
  }

  /** The whole quality that is nearest to the header's, the lower one of two. */
  private level(quality: number): number {
    const scale = this.qualityScale;
    return Math.floor((quality + ((scale - 1) >> 1)) / scale);
  }

  /** What latents are multiplied by. Between whole qualities step sizes are interpolated. */
  private gains(quality: number): Float32Array {
    const gains = this.file.floats('gains', [this.qualities, this.config.latents]);
    const scale = this.qualityScale;
    return this.interpolated(gains, quality, (lower, upper, part) =>
      Math.fround(scale / ((scale - part) / lower + part / upper)),
    );
  }

  /** What codewords are multiplied by to be integer latents. */
  private scales(quality: number): Int32Array {
    const scales = this.file.integers('scales', [this.qualities, this.config.latents]);
    const scale = this.qualityScale;
    return this.interpolated(scales, quality, (lower, upper, part) =>
      Math.floor((lower * (scale - part) + upper * part + scale / 2) / scale),
    );
  }

  /** Takes the header's quality out of numbers of all whole ones. */
  private interpolated<Numbers extends Float32Array | Int32Array>(
    all: Numbers,
    quality: number,
    between: (lower: number, upper: number, part: number) => number,
  ): Numbers {
    const { latents } = this.config;
    const [below, part] = [Math.floor(quality / this.qualityScale), quality % this.qualityScale];
    const lower = all.slice((below - 1) * latents, below * latents) as Numbers;
    if (part)
      for (let number = 0; number < latents; number++)
        lower[number] = between(lower[number], all[below * latents + number], part);
    return lower;
  }

  /** Puts what indices stand for into both planes of latents. */
  private putLatents(indices: Uint16Array, quality: number, coarse: Plane, fine: Plane): void {
    const { kernel, config } = this;
    const { blocks, rest } = this.books(quality);
    const first = config.latents - config.details;
    const positions = coarse.rows * coarse.columns;
    const [coarsePitch, finePitch] = [pitchOf(first), pitchOf(config.details)];
    const coarseNumbers = kernel.floats(coarse.pointer, positions * coarsePitch).fill(0);
    const fineNumbers = kernel.floats(fine.pointer, positions * finePitch).fill(0);
    const toLatent = this.latentOf(quality);
    const codeword = new Int32Array(config.latents);
    for (let position = 0, at = 0; position < positions; position++) {
      codeword.set(rest);
      for (const { groups, codewords, dimensions, places, vectors } of blocks)
        for (let group = 0; group < groups; group++) {
          const from = (group * codewords + indices[at++]) * dimensions;
          for (let dimension = 0; dimension < dimensions; dimension++)
            codeword[places[group * dimensions + dimension]] += vectors![from + dimension];
        }
      for (let number = 0; number < first; number++)
        coarseNumbers[position * coarsePitch + number] = toLatent(codeword[number], number);
      for (let number = first; number < config.latents; number++)
        fineNumbers[position * finePitch + number - first] = toLatent(codeword[number], number);
    }
  }

  /** How a codeword's number, in units of 1/32, becomes what the synthesis reads. */
  private latentOf(quality: number): (value: number, number: number) => number {
    if (!this.isExact) {
      const gains = this.gains(quality);
      return (value, number) => value / 32 / gains[number];
    }
    const scales = this.scales(quality);
    return (value, number) =>
      Math.min(16383, Math.max(-16384, Math.floor((value * scales[number] + 2 ** 15) / 2 ** 16)));
  }

  private books(quality: number): Codebooks {
    const level = this.level(quality);
    return kept(this.codebooks, level, () => {
      const { slices } = this.file.metadata.latent_prior as { slices: number[] };
      const blocks: Block[] = [];
      let start = 0;
      slices.forEach((width, slice) => {
        for (let number = 0; ; number++) {
          const name = `codebooks.${level}.${slice}.${number}`;
          if (!this.file.has(`${name}.channels`)) break;
          blocks.push(this.block(name, slice, start));
        }
        start += width;
      });
      return {
        blocks,
        rest: this.file.shorts(`codebooks.${level}.rest`, [this.config.latents]),
        codewords: blocks.flatMap(({ groups, codewords }) => Array(groups).fill(codewords)),
      };
    });
  }

  private block(name: string, slice: number, start: number): Block {
    const [groups, dimensions] = this.file.shape(`${name}.channels`);
    const [, codewords] = this.file.shape(`${name}.vectors`);
    const shape = [groups, codewords, dimensions];
    return {
      ...{ slice, groups, codewords, dimensions },
      places: Int32Array.from(this.file.shorts(`${name}.channels`), (channel) => channel + start),
      embedding: this.file.bytes(`${name}.embedding`, shape),
      vectors: this.file.shorts(`${name}.vectors`, shape),
      bias: this.file.shorts(`${name}.bias`, [groups, codewords]),
    };
  }
}
