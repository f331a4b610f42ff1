/** Planes in the kernel's memory, and layers that make planes of planes (format/SPEC.md,
 * section 9).
 *
 * A layer may be given part of a picture and what surrounds it. `reach` says how many rows
 * around a part change what the layer makes of it: so much is kept where a network crops.
 */

import { type Box, sizeOf, whole, within } from './grid.ts';
import type { Kernel } from './kernel.ts';
import type { ModelFile } from './tensors.ts';

/** Channels of a plane are a multiple of this. */
export const PITCH = 8;

export const pitchOf = (channels: number): number => Math.ceil(channels / PITCH) * PITCH;

export interface Plane {
  readonly pointer: number;
  readonly rows: number;
  readonly columns: number;
  readonly channels: number;
}

export interface Layer {
  /** Times as many rows as before. */
  readonly scale: number;
  reach(wanted: number): number;
  /** Makes a plane, which the caller releases, as it does the one it gives. */
  run(source: Plane): Plane;
}

/** What a network drops when only part of a result is wanted; a place in a list of layers. */
export const CROP = 'crop';

export type Layers = readonly (Layer | typeof CROP)[];

/** Runs layers on a plane, which stays; what is wanted are the rows and columns of `inner`. */
export function runLayers(
  kernel: Kernel,
  layers: Layers,
  source: Plane,
  inner: Box,
  progress: () => void,
): Plane {
  let plane = source;
  let wanted = inner;
  const replace = (next: Plane) => {
    if (plane !== source) kernel.call.release(plane.pointer);
    plane = next;
  };
  try {
    layers.forEach((layer, number) => {
      if (layer === CROP) {
        const kept = keptBy(layers.slice(number + 1), plane, wanted);
        wanted = within(kept, wanted);
        replace(cropped(kernel, plane, kept));
        return;
      }
      replace(layer.run(plane));
      wanted = {
        top: wanted.top * layer.scale,
        bottom: wanted.bottom * layer.scale,
        left: wanted.left * layer.scale,
        right: wanted.right * layer.scale,
      };
      progress();
    });
  } catch (error) {
    replace(source);
    throw error;
  }
  return plane;
}

/** The part of a plane that the layers after a crop look at. */
function keptBy(after: Layers, plane: Plane, wanted: Box): Box {
  const layers = after.filter((layer) => layer !== CROP);
  const reach = layers.reduceRight((around, layer) => layer.reach(around), 0);
  // Strides go on from a row that they would have come to without the crop.
  const step = layers.reduce((stride, { scale }) => stride * Math.max(1, 1 / scale), 1);
  const around = step * Math.ceil(reach / step);
  return {
    top: Math.max(0, wanted.top - around),
    bottom: Math.min(plane.rows, wanted.bottom + around),
    left: Math.max(0, wanted.left - around),
    right: Math.min(plane.columns, wanted.right + around),
  };
}

export function newPlane(kernel: Kernel, rows: number, columns: number, channels: number): Plane {
  const pointer = kernel.allocate(rows * columns * pitchOf(channels) * 4);
  return { pointer, rows, columns, channels };
}

function cropped(kernel: Kernel, plane: Plane, box: Box): Plane {
  const { rows, columns } = sizeOf(box);
  const target = newPlane(kernel, rows, columns, plane.channels);
  const pitch = pitchOf(plane.channels);
  kernel.call.crop(plane.pointer, plane.columns, pitch, box.top, box.left, rows, columns, target.pointer);
  return target;
}

export const insideOf = (plane: Plane): Box => whole(plane);

enum Finish {
  Rectified,
  Unsigned,
  Added,
}

export interface ConvolutionOptions {
  readonly inputs: number;
  readonly outputs: number;
  readonly size: number;
  readonly stride?: number;
  readonly padding?: number;
  readonly weights: Float32Array;
  readonly bias?: Float32Array | null;
  /** What numbers below 0 are multiplied by. */
  readonly slope?: number;
}

/** A convolution of real numbers, rectified by its slope. */
export class Convolution implements Layer {
  readonly scale: number;
  private readonly pointer: number;

  constructor(
    private readonly kernel: Kernel,
    private readonly options: ConvolutionOptions,
  ) {
    const { inputs, outputs, size, stride = 1, padding = 0, slope = 1 } = options;
    this.scale = 1 / stride;
    this.pointer = kernel.scope(({ copy }) =>
      kernel.need(
        kernel.call.new_convolution(
          ...[0, inputs, outputs, size, stride, padding, copy(options.weights)],
          ...[copy(options.bias ?? null), Finish.Rectified, slope, 0, 0],
        ),
      ),
    );
  }

  reach(wanted: number): number {
    const { size, stride = 1, padding = 0 } = this.options;
    return stride * wanted + Math.max(padding, size - stride - padding);
  }

  run(source: Plane, other?: Plane): Plane {
    const { size, stride = 1, padding = 0, outputs } = this.options;
    const side = (length: number) => Math.floor((length + 2 * padding - size) / stride) + 1;
    const target = newPlane(this.kernel, side(source.rows), side(source.columns), outputs);
    convolve(this.kernel, this.pointer, source, other?.pointer ?? 0, target);
    return target;
  }
}

function convolve(kernel: Kernel, layer: number, source: Plane, other: number, target: Plane): void {
  const { pointer, rows, columns } = source;
  try {
    kernel.need(kernel.call.convolve(layer, pointer, rows, columns, other, target.pointer));
  } catch (error) {
    kernel.call.release(target.pointer);
    throw error;
  }
}

/** x plus what layers make of it; the last of them adds. */
export class Residual implements Layer {
  readonly scale = 1;

  constructor(
    private readonly kernel: Kernel,
    private readonly body: readonly Layer[],
    private readonly last: Convolution,
  ) {}

  reach(wanted: number): number {
    return this.body.reduceRight((around, layer) => layer.reach(around), this.last.reach(wanted));
  }

  run(source: Plane): Plane {
    let plane = source;
    for (const layer of this.body) {
      const next = layer.run(plane);
      if (plane !== source) this.kernel.call.release(plane.pointer);
      plane = next;
    }
    try {
      return this.last.run(plane, source);
    } finally {
      if (plane !== source) this.kernel.call.release(plane.pointer);
    }
  }
}

/** 0 in the place of numbers below 0. */
export class Rectifier implements Layer {
  readonly scale = 1;

  constructor(private readonly kernel: Kernel) {}

  reach(wanted: number): number {
    return wanted;
  }

  run(source: Plane): Plane {
    const target = newPlane(this.kernel, source.rows, source.columns, source.channels);
    const count = source.rows * source.columns * pitchOf(source.channels);
    this.kernel.call.rectify(source.pointer, count, target.pointer);
    return target;
  }
}

/** Turns factor^2 n channels into n at `factor` times the rows and columns. */
export class Shuffle implements Layer {
  constructor(
    private readonly kernel: Kernel,
    readonly scale: number,
  ) {}

  reach(wanted: number): number {
    return Math.ceil(wanted / this.scale);
  }

  run({ pointer, rows, columns, channels }: Plane): Plane {
    const { kernel, scale } = this;
    const target = newPlane(kernel, rows * scale, columns * scale, channels / scale ** 2);
    kernel.call.shuffle(pointer, rows, columns, channels, scale, target.pointer);
    return target;
  }
}

/** A residual block of integers. */
export class IntegerBlock implements Layer {
  readonly scale = 1;
  private readonly shift: number;
  private readonly first: number;
  private readonly second: number;

  constructor(
    private readonly kernel: Kernel,
    file: ModelFile,
    name: string,
    channels: number,
  ) {
    this.shift = file.unsignedBytes(`${name}.input`, [1])[0];
    const gain = powers(file.unsignedBytes(`${name}.output`, [channels]), 1);
    const part = (own: string, finish: Finish) =>
      kernel.scope(({ copy }) =>
        kernel.need(
          kernel.call.new_convolution(
            ...[1, channels, channels, 3, 1, 1],
            copy(file.floats(`${own}.weight`, [channels, channels, 3, 3])),
            ...[copy(file.floats(`${own}.bias`, [channels])), finish, 0],
            copy(powers(file.unsignedBytes(`${own}.shift`, [channels]), -1)),
            copy(gain),
          ),
        ),
      );
    this.first = part(`${name}.first`, Finish.Unsigned);
    this.second = part(`${name}.second`, Finish.Added);
  }

  reach(wanted: number): number {
    return wanted + 2;
  }

  run(source: Plane): Plane {
    const { kernel } = this;
    const { rows, columns, channels } = source;
    const target = newPlane(kernel, rows, columns, channels);
    const count = rows * columns * pitchOf(channels);
    kernel.scope(({ allocate }) => {
      const active = { ...source, pointer: allocate(2 * count) };
      const hidden = { ...source, pointer: allocate(2 * count) };
      kernel.call.digit(source.pointer, count, this.shift, active.pointer);
      kernel.need(kernel.call.convolve(this.first, active.pointer, rows, columns, 0, hidden.pointer));
      convolve(kernel, this.second, hidden, source.pointer, target);
    });
    return target;
  }
}

/** A convolution of integers whose inputs and weights have two digits. */
export class WideConvolution implements Layer {
  readonly scale = 1;
  private readonly shift: number;
  private readonly pointer: number;
  private readonly bias: Float32Array<ArrayBuffer>;
  private readonly factors: Float32Array<ArrayBuffer>;

  constructor(
    private readonly kernel: Kernel,
    file: ModelFile,
    name: string,
    inputs: number,
    private readonly outputs: number,
    private readonly size: number,
  ) {
    const shape = [outputs, inputs, size, size];
    const high = file.bytes(`${name}.high`, shape);
    const low = file.bytes(`${name}.low`, shape);
    this.shift = file.unsignedBytes(`${name}.input`, [1])[0];
    this.bias = padded(file.floats(`${name}.bias`, [outputs]));
    this.factors = padded(powers(file.unsignedBytes(`${name}.shift`, [outputs]), -1));
    // Of inputs the high digits, then the low ones; of outputs high * a, then low * a + high * b.
    const [from, to, taps] = [pitchOf(inputs), pitchOf(outputs), size * size];
    const weights = new Float32Array(4 * from * to * taps);
    for (let output = 0; output < outputs; output++)
      for (let input = 0; input < inputs; input++)
        for (let tap = 0; tap < taps; tap++) {
          const weight = (output * inputs + input) * taps + tap;
          const place = (output * 2 * from + input) * taps + tap;
          weights[place] = high[weight];
          weights[place + to * 2 * from * taps] = low[weight];
          weights[place + (to * 2 * from + from) * taps] = high[weight];
        }
    this.pointer = kernel.scope(({ copy }) =>
      kernel.need(
        kernel.call.new_convolution(
          ...[1, 2 * from, 2 * to, size, 1, (size - 1) / 2, copy(weights)],
          ...[0, Finish.Rectified, 1, 0, 0],
        ),
      ),
    );
  }

  reach(wanted: number): number {
    return wanted + (this.size - 1) / 2;
  }

  run(source: Plane): Plane {
    const { kernel, outputs } = this;
    const { rows, columns, channels } = source;
    const positions = rows * columns;
    const [from, to] = [pitchOf(channels), pitchOf(outputs)];
    const target = newPlane(kernel, rows, columns, outputs);
    kernel.scope(({ allocate, copy }) => {
      const digits = allocate(4 * positions * from);
      const sums = allocate(8 * positions * to);
      kernel.call.digits(source.pointer, positions, from, this.shift, digits);
      kernel.need(kernel.call.convolve(this.pointer, digits, rows, columns, 0, sums));
      const parameters = [copy(this.bias), copy(this.factors)];
      kernel.call.join_digits(sums, positions, to, ...parameters, target.pointer);
    });
    return target;
  }
}

function powers(exponents: Uint8Array, sign: 1 | -1): Float32Array<ArrayBuffer> {
  return Float32Array.from(exponents, (exponent) => 2 ** (sign * exponent));
}

function padded(numbers: Float32Array): Float32Array<ArrayBuffer> {
  const filled = new Float32Array(pitchOf(numbers.length));
  filled.set(numbers);
  return filled;
}
