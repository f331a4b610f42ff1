/** Planes in the kernel's memory, and layers that make planes of planes (format/SPEC.md,
 * section 9).
 *
 * A layer may be given part of a picture and what surrounds it. `reach` says how many rows
 * around a part change what the layer makes of it: so much is kept where a network crops.
 */

import { type Box, areaOf, sizeOf, within } from './grid.ts';
import type { Kernel } from './kernel.ts';

/** Channels of a plane are a multiple of this. */
const PITCH = 8;

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
        if (areaOf(kept) < plane.rows * plane.columns) replace(cropped(kernel, plane, kept));
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
  kernel.call.crop(
    plane.pointer,
    plane.columns,
    pitch,
    box.top,
    box.left,
    rows,
    columns,
    target.pointer,
  );
  return target;
}

/** What becomes of a convolution's sums; see web/kernel/convolution.h. */
export enum Finish {
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

/** Runs the kernel's convolution `layer`; the target is released if that fails. */
export function convolve(
  kernel: Kernel,
  layer: number,
  source: Plane,
  other: number,
  target: Plane,
): void {
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
