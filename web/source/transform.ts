/** The networks of the architectures as lists of layers (format/SPEC.md, section 9). */

import { IntegerBlock, WideConvolution } from './integers.ts';
import type { Kernel } from './kernel.ts';
import {
  CROP,
  Convolution,
  type ConvolutionOptions,
  type Layer,
  type Layers,
  Rectifier,
  Residual,
  Shuffle,
} from './planes.ts';
import type { ModelFile } from './tensors.ts';

const LEAK = 0.1;

/** The sizes of photo's transforms; depths are those of the network at hand. */
export interface TransformConfig {
  readonly widths: readonly [number, number, number];
  readonly depths: readonly [number, number, number];
  readonly latents: number;
  readonly details: number;
}

/** Two networks that look at the same picture, or at two parts of its latents. */
export interface Branches {
  readonly transform: Layers;
  readonly details: Layers;
}

/** Makes layers of a model file's tensors. */
class Builder {
  constructor(
    readonly kernel: Kernel,
    readonly file: ModelFile,
    private readonly prefix: string,
  ) {}

  convolution(
    name: string,
    inputs: number,
    outputs: number,
    size: number,
    more: Partial<ConvolutionOptions> = {},
  ): Convolution {
    const tensor = `${this.prefix}.${name}`;
    const weights = this.file.weights(`${tensor}.weight`, [outputs, inputs, size, size]);
    const bias = more.bias === null ? null : this.file.floats(`${tensor}.bias`, [outputs]);
    return new Convolution(this.kernel, { inputs, outputs, size, weights, ...more, bias });
  }

  wide(name: string, inputs: number, outputs: number, size: number): Layer {
    const tensor = `${this.prefix}.${name}`;
    return new WideConvolution(this.kernel, this.file, tensor, inputs, outputs, size);
  }

  blocks(first: number, count: number, channels: number): Layer[] {
    return numbers(first, count).map((number) => {
      const name = `layers.${number}`;
      const part = (own: string, slope: number) =>
        this.convolution(`${name}.${own}`, channels, channels, 3, { padding: 1, slope });
      return new Residual(this.kernel, [part('first', LEAK)], part('second', 1));
    });
  }

  integerBlocks(first: number, count: number, channels: number): Layer[] {
    return numbers(first, count).map(
      (number) =>
        new IntegerBlock(this.kernel, this.file, `${this.prefix}.layers.${number}`, channels),
    );
  }

  /** A transposed convolution 4x4 of stride 2 and padding 1: each square of four results is that
   * of a convolution 3x3, in four channels.
   */
  transposed(name: string, inputs: number, outputs: number): Convolution {
    const tensor = `${this.prefix}.${name}`;
    const source = this.file.floats(`${tensor}.weight`, [inputs, outputs, 4, 4]);
    const bias = this.file.floats(`${tensor}.bias`, [outputs]);
    const weights = new Float32Array(4 * outputs * inputs * 9);
    for (let output = 0; output < 4 * outputs; output++) {
      const [y, x] = [(output >> 1) & 1, output & 1];
      for (let input = 0; input < inputs; input++)
        for (let down = y; down < y + 2; down++)
          for (let right = x; right < x + 2; right++) {
            const from = (input * outputs + (output >> 2)) * 16;
            weights[(output * inputs + input) * 9 + down * 3 + right] =
              source[from + (3 + y - 2 * down) * 4 + (3 + x - 2 * right)];
          }
    }
    return new Convolution(this.kernel, {
      ...{ inputs, outputs: 4 * outputs, size: 3, padding: 1, weights },
      bias: Float32Array.from({ length: 4 * outputs }, (_, output) => bias[output >> 2]),
    });
  }
}

/** Follows each layer with a crop: where pictures are small, surroundings are much of them. */
const cropped = (layers: readonly Layer[]): Layers => layers.flatMap((layer) => [layer, CROP]);

const numbers = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, number) => first + number);

/** From latents, those of the transform and the details, to what is drawn, shuffled by 4 and 16. */
export function photoSynthesis(kernel: Kernel, file: ModelFile, config: TransformConfig): Branches {
  const build = new Builder(kernel, file, 'synthesis');
  const [fine, middle, coarse] = config.widths;
  const [a, b, c] = config.depths;
  const transform = [
    build.convolution('layers.0', config.latents - config.details, coarse, 3, { padding: 1 }),
    ...cropped(build.blocks(1, c, coarse)),
    build.convolution(`layers.${c + 1}`, coarse, 4 * middle, 1),
    new Shuffle(kernel, 2),
    ...cropped(build.blocks(c + 3, b, middle)),
    build.convolution(`layers.${c + b + 3}`, middle, 4 * fine, 1),
    new Shuffle(kernel, 2),
    ...build.blocks(c + b + 5, a, fine),
    build.convolution(`layers.${c + b + a + 5}`, fine, 48, 3, { padding: 1 }),
    CROP,
  ] as const;
  const details = [
    CROP,
    build.convolution('details.0', config.details, 768, 1, { bias: null }),
  ] as const;
  return { transform, details };
}

/** The same in integers. */
export function exactSynthesis(kernel: Kernel, file: ModelFile, config: TransformConfig): Branches {
  const build = new Builder(kernel, file, 'synthesis');
  const [fine, middle, coarse] = config.widths;
  const [a, b, c] = config.depths;
  const transform = [
    build.wide('layers.0', config.latents - config.details, coarse, 3),
    ...cropped(build.integerBlocks(1, c, coarse)),
    build.wide(`layers.${c + 1}`, coarse, 4 * middle, 1),
    new Shuffle(kernel, 2),
    ...cropped(build.integerBlocks(c + 3, b, middle)),
    build.wide(`layers.${c + b + 3}`, middle, 4 * fine, 1),
    new Shuffle(kernel, 2),
    ...build.integerBlocks(c + b + 5, a, fine),
    build.wide(`layers.${c + b + a + 5}`, fine, 48, 3),
    CROP,
  ] as const;
  return { transform, details: [CROP, build.wide('details.0', config.details, 768, 1)] };
}

/** From pixels, -1 to 1, to latents, those of the transform and the details. */
export function photoAnalysis(kernel: Kernel, file: ModelFile, config: TransformConfig): Branches {
  const build = new Builder(kernel, file, 'analysis');
  const [fine, middle, coarse] = config.widths;
  const [a, b, c] = config.depths;
  const { latents, details } = config;
  const transform = [
    build.convolution('layers.0', 3, fine, 8, { stride: 4, padding: 2 }),
    CROP,
    ...build.blocks(1, a, fine),
    build.convolution(`layers.${a + 1}`, fine, middle, 4, { stride: 2, padding: 1 }),
    CROP,
    ...cropped(build.blocks(a + 2, b, middle)),
    build.convolution(`layers.${a + b + 2}`, middle, coarse, 4, { stride: 2, padding: 1 }),
    CROP,
    ...cropped(build.blocks(a + b + 3, c, coarse)),
    build.convolution(`layers.${a + b + c + 3}`, coarse, latents - details, 1),
  ] as const;
  return {
    transform,
    details: [CROP, build.convolution('details', 3, details, 16, { stride: 16 })],
  };
}

export interface AutoencoderConfig {
  readonly hidden: number;
  readonly residual_blocks: number;
  readonly code_dim: number;
  readonly codebook_size: number;
}

function residualBlocks(build: Builder, { hidden, residual_blocks: count }: AutoencoderConfig) {
  return numbers(0, count).map((number) => {
    const name = `blocks.${number}`;
    const spatial = build.convolution(`${name}.spatial`, hidden, hidden, 3, {
      padding: 1,
      slope: 0,
    });
    const pointwise = build.convolution(`${name}.pointwise`, hidden, hidden, 1);
    return new Residual(build.kernel, [new Rectifier(build.kernel), spatial], pointwise);
  });
}

/** From codewords to what is drawn, shuffled by 2. */
export function paperDecoder(kernel: Kernel, file: ModelFile, config: AutoencoderConfig): Layers {
  const build = new Builder(kernel, file, 'decoder');
  return [
    build.convolution('project', config.code_dim, config.hidden, 3, { padding: 1 }),
    ...residualBlocks(build, config),
    new Rectifier(kernel),
    CROP,
    build.transposed('up1', config.hidden, config.hidden),
    new Shuffle(kernel, 2),
    new Rectifier(kernel),
    build.transposed('up2', config.hidden, 3),
    CROP,
  ];
}

/** From pixels, -1 to 1, to latents. */
export function paperEncoder(kernel: Kernel, file: ModelFile, config: AutoencoderConfig): Layers {
  const build = new Builder(kernel, file, 'encoder');
  const { hidden } = config;
  return [
    build.convolution('down1', 3, hidden, 4, { stride: 2, padding: 1, slope: 0 }),
    build.convolution('down2', hidden, hidden, 4, { stride: 2, padding: 1 }),
    ...residualBlocks(build, config),
    CROP,
    new Rectifier(kernel),
    build.convolution('project', hidden, config.code_dim, 1),
  ];
}
