/** What the page wants of a model, and what models of all architectures need. */

import type { Box } from './grid.ts';
import type { Kernel } from './kernel.ts';
import { CROP, type Layers, type Plane, newPlane, pitchOf } from './planes.ts';
import type { Prior } from './prior.ts';

/** RGBA, row by row. */
export type Pixels = Uint8ClampedArray<ArrayBuffer>;

export interface Picture {
  readonly pixels: Pixels;
  readonly width: number;
  readonly height: number;
}

/** A tile's stream and the indices (rows, columns, G) that it holds. */
export interface EncodedTile {
  readonly stream: Uint8Array<ArrayBuffer>;
  readonly indices: Uint16Array;
}

/** Called after each layer. */
export type Tick = () => void;

/** What was measured of part of a picture: rows and columns of positions, D numbers each. */
export interface Measured {
  readonly numbers: Float32Array;
  readonly depth: number;
}

export interface Model {
  readonly kernel: Kernel;
  readonly sha256: string;
  readonly name: string;
  readonly strideLog2: number;
  /** Qualities are 1 to this; 0: the model has none. */
  readonly qualities: number;
  /** The header's quality, which all methods take, is so many times the quality: where it is more
   * than 1, there are qualities between whole ones.
   */
  readonly qualityScale: number;
  /** Positions along the sides of a window that is drawn or measured at once. */
  readonly window: number;
  readonly decoderHalo: number;
  readonly encoderHalo: number;
  /** Layers that are run to draw, or to measure, a window. */
  readonly decoderLayers: number;
  readonly encoderLayers: number;
  groups(quality: number): number;
  /** How many codewords each of a position's indices has. */
  codewords(quality: number): readonly number[];
  /** The most codewords that there are; indices of fixed length are below it. */
  readonly codebookSize: number;
  prior(quality: number): Prior;
  /** Draws pixels RGBA of the positions `inner` of indices (rows, columns, G). */
  draw(indices: Uint16Array, box: Box, quality: number, inner: Box, tick: Tick): Pixels;
  /** Measures the positions `inner` of a picture. */
  measure(picture: Picture, inner: Box, tick: Tick): Measured;
  /** Writes a tile of what was measured. `weight` is that of bits against distance. */
  encode(measured: Float32Array, box: Box, quality: number, weight: number): EncodedTile;
}

/** Copies the numbers of a plane without the zeros up to its pitch. */
export function putNumbers(
  kernel: Kernel,
  plane: Plane,
  into: Float32Array,
  from: number,
  depth: number,
): void {
  const pitch = pitchOf(plane.channels);
  const values = kernel.floats(plane.pointer, plane.rows * plane.columns * pitch);
  for (let position = 0; position < plane.rows * plane.columns; position++)
    into.set(
      values.subarray(position * pitch, position * pitch + plane.channels),
      position * depth + from,
    );
}

/** Puts pixels, with their last row and column repeated, into a plane of whole positions. */
export function pixelPlane(
  kernel: Kernel,
  { pixels, width, height }: Picture,
  stride: number,
): Plane {
  const [rows, columns] = [height, width].map((side) => Math.ceil(side / stride) * stride);
  const plane = newPlane(kernel, rows, columns, 3);
  kernel.scope(({ copy }) => {
    const source = copy(new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength));
    kernel.call.undraw(source, height, width, rows, columns, plane.pointer);
  });
  return plane;
}

/** How many layers there are in all. */
export const layersOf = (...lists: Layers[]): number =>
  lists.flat().filter((layer) => layer !== CROP).length;

/** Returns what a map has, or puts there what is made. */
export function kept<Value>(map: Map<number, Value>, key: number, make: () => Value): Value {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}
