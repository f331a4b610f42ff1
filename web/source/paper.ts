/** `paper`, of architecture vqvae-pixelcnn-1 (format/SPEC.md, sections 6 and 9). */

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
import { type Layers, newPlane, pitchOf, runLayers } from './planes.ts';
import { Prior } from './prior.ts';
import type { ModelFile } from './tensors.ts';
import { type AutoencoderConfig, paperDecoder, paperEncoder } from './transform.ts';

/** The VQ-VAE. */
export class Paper implements Model {
  readonly name: string;
  readonly strideLog2 = 2;
  readonly qualities = 0;
  readonly qualityScale = 1;
  readonly window = 96;
  readonly codebookSize: number;
  readonly decoderHalo: number;
  readonly encoderHalo: number;
  readonly decoderLayers: number;
  readonly encoderLayers: number;
  private readonly config: AutoencoderConfig;
  private readonly codebook: Float32Array;
  private readonly decoder: Layers;
  private encoder: Layers | undefined;
  private readonly priors = new Map<number, Prior>();

  constructor(
    readonly kernel: Kernel,
    private readonly file: ModelFile,
    readonly sha256: string,
  ) {
    this.name = String(file.metadata.name ?? '');
    this.config = file.metadata.autoencoder;
    const { codebook_size: codewords, code_dim: depth, residual_blocks: blocks } = this.config;
    this.codebookSize = codewords;
    this.codebook = file.floats('codebook', [codewords, depth]);
    this.decoder = paperDecoder(kernel, file, this.config);
    this.decoderHalo = blocks + 2;
    this.encoderHalo = blocks + 1;
    this.decoderLayers = layersOf(this.decoder);
    this.encoderLayers = 4 + blocks;
  }

  groups(): number {
    return 1;
  }

  codewords(): readonly number[] {
    return [this.codebookSize];
  }

  prior(): Prior {
    return kept(this.priors, 0, () =>
      Prior.categorical(this.kernel, this.file, this.file.metadata.prior),
    );
  }

  draw(indices: Uint16Array, box: Box, _quality: number, inner: Box, tick: Tick): Pixels {
    const { kernel } = this;
    const { code_dim: depth } = this.config;
    const { rows, columns } = sizeOf(box);
    const { rows: height, columns: width } = sizeOf(scaled(inner, 4));
    return kernel.scope(({ allocate, own }) => {
      const source = own(newPlane(kernel, rows, columns, depth));
      const pitch = pitchOf(depth);
      const numbers = kernel.floats(source.pointer, indices.length * pitch).fill(0);
      indices.forEach((index, position) =>
        numbers.set(this.codebook.subarray(index * depth, (index + 1) * depth), position * pitch),
      );
      const plane = own(runLayers(kernel, this.decoder, source, inner, tick));
      const pixels = allocate(height * width * 4);
      kernel.call.draw(plane.pointer, plane.columns, 2, 0, 0, 1, 0, height, width, pixels);
      return new Uint8ClampedArray(kernel.bytes(pixels, height * width * 4));
    });
  }

  measure(picture: Picture, inner: Box, tick: Tick): Measured {
    const { kernel } = this;
    const { code_dim: depth } = this.config;
    this.encoder ??= paperEncoder(kernel, this.file, this.config);
    const { encoder } = this;
    const numbers = new Float32Array(areaOf(inner) * depth);
    return kernel.scope(({ own }) => {
      const source = own(pixelPlane(kernel, picture, 4));
      const latents = own(runLayers(kernel, encoder, source, scaled(inner, 4), tick));
      putNumbers(kernel, latents, numbers, 0, depth);
      return { numbers, depth };
    });
  }

  encode(measured: Float32Array, box: Box): EncodedTile {
    const { code_dim: depth } = this.config;
    const indices = Uint16Array.from({ length: measured.length / depth }, (_, position) =>
      nearest(this.codebook, measured.subarray(position * depth, (position + 1) * depth)),
    );
    return { stream: this.prior().encodeKnown(indices, sizeOf(box)), indices };
  }
}

/** The codeword nearest to a latent, the first of equally near ones. */
function nearest(codebook: Float32Array, latent: Float32Array): number {
  let [best, least] = [0, Infinity];
  for (let start = 0; start < codebook.length; start += latent.length) {
    let distance = 0;
    for (let number = 0; number < latent.length && distance < least; number++)
      distance += (codebook[start + number] - latent[number]) ** 2;
    if (distance < least) [best, least] = [start / latent.length, distance];
  }
  return best;
}
