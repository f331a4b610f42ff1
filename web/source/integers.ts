/** Layers of integers, the same on every machine (format/SPEC.md, section 9, "Exact synthesis"). */

import type { Kernel } from './kernel.ts';
import { Finish, type Layer, type Plane, convolve, newPlane, pitchOf } from './planes.ts';
import type { ModelFile } from './tensors.ts';

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
      kernel.need(
        kernel.call.convolve(this.first, active.pointer, rows, columns, 0, hidden.pointer),
      );
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
