/** Priors, handed to the kernel, which codes tiles with them (format/SPEC.md, sections 6 to 8). */

import type { Size } from './grid.ts';
import type { Kernel, Scope } from './kernel.ts';
import { Problem } from './problems.ts';
import type { ModelFile } from './tensors.ts';

const FIRST_TAPS = [
  ...[-2, -1, 0, 1, 2].flatMap((right) => [-2, right]),
  ...[-2, -1, 0, 1].flatMap((right) => [-1, right]),
  ...[0, -2, 0, -1],
];
const INNER_TAPS = [-1, -1, -1, 0, -1, 1, 0, -1, 0, 0];

const DEPTHS = 400;

/** POWERS[d], the largest x with (2x - 1)^16 2^d <= 2^400, of section 7. */
const POWERS = Int32Array.from({ length: DEPTHS + 1 }, (_, depth) => {
  if (depth === DEPTHS) return 0;
  // No value is nearer than 10^-4 to where it would be rounded the other way.
  return Math.floor(2 ** (24 - depth / 16) + 0.5);
});

enum Role {
  First,
  Trunk,
  Hidden,
  Output,
}

/** G groups of codewords of d numbers in a slice of a position's numbers. */
export interface Block {
  readonly slice: number;
  readonly groups: number;
  readonly codewords: number;
  readonly dimensions: number;
  /** (G, d): the numbers that a group stands for, counted from the first slice on. */
  readonly places: Int32Array;
  /** (G, K, d) */
  readonly embedding: Int8Array;
  /** (G, K, d), in units of 1/32; none of a categorical prior, nor a bias. */
  readonly vectors: Int16Array | null;
  /** (G, K) */
  readonly bias: Int16Array | null;
}

/** A prior at one quality, in the kernel's memory. */
export class Prior {
  private readonly pointer: number;
  /** Indices of a position. */
  readonly groups: number;

  private constructor(
    private readonly kernel: Kernel,
    private readonly blocks: readonly Block[],
    shape: { channels: number; reads: number; layers: number; starts: readonly number[] },
    offset: Int32Array | null,
    precisions: Int32Array | null,
  ) {
    this.groups = blocks.reduce((sum, block) => sum + block.groups, 0);
    const { channels, reads, layers, starts } = shape;
    this.pointer = kernel.scope(({ copy }) =>
      kernel.need(
        kernel.call.new_network(
          ...[channels, reads, layers, starts.length - 1, blocks.length],
          ...[copy(Int32Array.from(starts)), copy(offset ?? new Int32Array(channels))],
          ...[copy(precisions), copy(POWERS)],
        ),
      ),
    );
  }

  /** Hands over what `fill` adds, and checks the whole. */
  private complete(fill: (scope: Scope) => void): this {
    this.kernel.scope((scope) => {
      fill(scope);
      this.blocks.forEach((block, number) => this.putBlock(scope, block, number));
    });
    if (!this.kernel.call.complete_network(this.pointer))
      throw new Problem('Model', "the model's prior is not consistent");
    return this;
  }

  /** Reads the prior of `paper`. */
  static categorical(
    kernel: Kernel,
    file: ModelFile,
    config: { codebook_size: number; embedding: number; channels: number; layers: number },
  ): Prior {
    const { codebook_size: codewords, embedding, channels, layers } = config;
    const block = {
      ...{ slice: 0, groups: 1, codewords, dimensions: embedding, vectors: null, bias: null },
      places: Int32Array.from({ length: embedding }, (_, number) => number),
      embedding: file.bytes('prior.embedding', [codewords, embedding]),
    };
    const shape = { channels, layers, reads: embedding, starts: [0, embedding] };
    const prior = new Prior(kernel, [block], shape, null, null);
    return prior.complete((scope) => {
      prior.putTrunk(scope, file, shape);
      prior.putLayer(scope, file, Role.Hidden, 'hidden', 0, channels, channels);
      prior.putLayer(scope, file, Role.Output, 'output', 0, channels, codewords);
    });
  }

  /** Reads the prior of `photo` at a quality, whose codebooks have these blocks. */
  static gaussian(
    kernel: Kernel,
    file: ModelFile,
    config: { channels: number; layers: number; slices: readonly number[]; hidden: number },
    reads: number,
    blocks: readonly Block[],
    quality: number,
  ): Prior {
    const { channels, layers, slices, hidden } = config;
    const starts = [0];
    for (const width of slices) starts.push(starts[starts.length - 1] + width);
    const shape = { channels, reads, layers, starts };
    const offsets = file.shorts('prior.quality');
    const offset = Int32Array.from(offsets.subarray((quality - 1) * channels, quality * channels));
    const precisions = file.integers('prior.precisions', [1024]);
    const prior = new Prior(kernel, blocks, shape, offset, precisions);
    return prior.complete((scope) => {
      prior.putTrunk(scope, file, shape);
      slices.forEach((width, s) => {
        prior.putLayer(scope, file, Role.Hidden, `hidden.${s}`, s, channels + starts[s], hidden);
        prior.putLayer(scope, file, Role.Output, `output.${s}`, s, hidden, 2 * width);
      });
    });
  }

  /** Reads a tile's indices (rows, columns, G). Throws a Problem if no encoder writes the stream. */
  decode(stream: Uint8Array, { rows, columns }: Size): Uint16Array {
    const { kernel } = this;
    const count = rows * columns * this.groups;
    return kernel.scope(({ allocate, copy }) => {
      const indices = allocate(4 * count);
      const outcome =
        stream.length % 4
          ? Outcome.Corrupt
          : kernel.call.decode_tile(
              ...[this.pointer, rows, columns, copy(stream), stream.length / 4, indices],
            );
      checkOutcome(outcome);
      return Uint16Array.from(kernel.integers(indices, count));
    });
  }

  /** Chooses and writes a tile's indices; latents are scaled, (rows, columns, D). */
  encode(
    latents: Float32Array,
    { rows, columns }: Size,
    perLogit: number,
  ): { stream: Uint8Array<ArrayBuffer>; indices: Uint16Array } {
    const { kernel } = this;
    const count = rows * columns * this.groups;
    return kernel.scope(({ allocate, copy }) => {
      const indices = allocate(4 * count);
      const stream = allocate(4 * (count + 2));
      const words = kernel.call.encode_tile(
        ...[this.pointer, rows, columns, copy(latents), perLogit, indices, stream],
      );
      if (words < 0) checkOutcome(Outcome.NoMemory);
      return {
        stream: kernel.bytes(stream, 4 * words).slice(),
        indices: Uint16Array.from(kernel.integers(indices, count)),
      };
    });
  }

  /** Writes the stream of a tile's indices (rows, columns, G). */
  encodeKnown(known: Uint16Array, { rows, columns }: Size): Uint8Array<ArrayBuffer> {
    const { kernel } = this;
    return kernel.scope(({ allocate, copy }) => {
      const stream = allocate(4 * (known.length + 2));
      const indices = copy(Int32Array.from(known));
      const words = kernel.call.encode_tile(this.pointer, rows, columns, 0, 0, indices, stream);
      if (words < 0) checkOutcome(Outcome.NoMemory);
      return kernel.bytes(stream, 4 * words).slice();
    });
  }

  private putTrunk(
    scope: Scope,
    file: ModelFile,
    { channels, reads, layers }: { channels: number; reads: number; layers: number },
  ): void {
    this.putTaps(scope, -1, FIRST_TAPS);
    const inputs = (FIRST_TAPS.length / 2) * reads;
    this.putLayer(scope, file, Role.First, 'first', 0, inputs, channels);
    for (let number = 0; number < layers; number++) {
      this.putTaps(scope, number, INNER_TAPS);
      const width = (INNER_TAPS.length / 2) * channels;
      this.putLayer(scope, file, Role.Trunk, `layers.${number}`, number, width, channels);
    }
  }

  private putTaps({ copy }: Scope, layer: number, taps: readonly number[]): void {
    const offsets = copy(Int32Array.from(taps));
    this.kernel.need(this.kernel.call.set_taps(this.pointer, layer, offsets, taps.length / 2));
  }

  private putLayer(
    { copy }: Scope,
    file: ModelFile,
    role: Role,
    name: string,
    number: number,
    inputs: number,
    outputs: number,
  ): void {
    const { kernel } = this;
    kernel.need(
      kernel.call.set_layer(
        ...[this.pointer, role, number, inputs, outputs],
        copy(file.bytes(`prior.${name}.weight`, [outputs, inputs])),
        copy(file.integers(`prior.${name}.bias`, [outputs])),
        copy(file.unsignedBytes(`prior.${name}.shift`, [outputs])),
      ),
    );
  }

  private putBlock({ copy }: Scope, block: Block, number: number): void {
    const { kernel } = this;
    const { slice, groups, codewords, dimensions, vectors } = block;
    kernel.need(
      kernel.call.set_block(
        ...[this.pointer, number, slice, groups, codewords, dimensions],
        ...[copy(block.places), copy(block.embedding)],
        ...[copy(vectors && transposed(vectors, block)), copy(block.bias)],
        copy(vectors && norms(vectors, block)),
      ),
    );
  }
}

/** What the kernel's functions that code return. */
export enum Outcome {
  Done,
  Corrupt,
  NoMemory,
}

export function checkOutcome(outcome: Outcome): void {
  if (outcome === Outcome.Corrupt)
    throw new Problem('Corrupt', "a tile's stream is none that an encoder writes");
  if (outcome === Outcome.NoMemory)
    throw new Problem('Memory', 'there is not enough memory for this picture');
}

/** (G, K, d) to (G, d, K) */
function transposed(vectors: Int16Array, { groups, codewords, dimensions }: Block): Int16Array {
  const result = new Int16Array(vectors.length);
  for (let group = 0; group < groups; group++)
    for (let codeword = 0; codeword < codewords; codeword++)
      for (let dimension = 0; dimension < dimensions; dimension++)
        result[(group * dimensions + dimension) * codewords + codeword] =
          vectors[(group * codewords + codeword) * dimensions + dimension];
  return result;
}

/** Squared lengths of codewords, (G, K). */
function norms(vectors: Int16Array, { groups, codewords, dimensions }: Block): Float32Array {
  return Float32Array.from({ length: groups * codewords }, (_, row) => {
    let sum = 0;
    for (const value of vectors.subarray(row * dimensions, (row + 1) * dimensions))
      sum += (value / 32) ** 2;
    return sum;
  });
}
