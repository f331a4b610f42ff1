/** Pictures to files, as vqcodec/image/pipeline.py makes them. */

import { type Header, Mode, gridSize, serialise, tiling } from './container.ts';
import type { Progress } from './decoding.ts';
import {
  type Box,
  type Size,
  areaOf,
  common,
  scaled,
  sizeOf,
  whole,
  widened,
  windows,
  within,
} from './grid.ts';
import { encodeLiteral } from './literal.ts';
import type { Model, Picture } from './model.ts';
import { Problem } from './problems.ts';

const TILE_LOG2 = 6;
const LITERAL_TILE_LOG2 = 10;
const LITERAL_STRIDE_LOG2 = 2;
/** Part of the pixels that are like their left neighbour, from which on storing them exactly may
 * take less; photographs have .05 to .3.
 */
const FLAT = 0.5;
/** So many colours at most, among the pixels that are looked at, may take less exactly too. */
const FEW_COLOURS = 16;
/** Pixels that must be looked at for that: tiny pictures have few colours whatever they show. */
const ENOUGH = 4 * FEW_COLOURS;
/** Of the bytes of a pixel, read as one number. */
const ALPHA = 0xff000000;
/** Most pixels of a picture: what is measured of it, and a search, keep 9 bytes of each. */
const MEASURED_MAX = 2 ** 25;
/** A search tries qualities that are multiples of 1/16. */
const STEP = 16;

export interface Encoded {
  readonly data: Uint8Array<ArrayBuffer>;
  /** A quality, up to 1/2 beyond the lowest or the highest one; 0 if there is none. */
  readonly quality: number;
}

/** What a picture is to become: a quality, or the best of at most so many bytes. */
export type Wish = { readonly quality: number } | { readonly bytes: number };

/** A picture that has been measured, to be written at any quality. */
export class Encoder {
  private readonly measured: Float32Array;
  private readonly depth: number;
  private readonly size: Size;
  private readonly literal: Uint8Array<ArrayBuffer> | undefined;

  constructor(
    private readonly model: Model,
    private readonly picture: Picture,
    private readonly chunks: ReadonlyMap<string, Uint8Array>,
    progress: Progress,
  ) {
    const { width, height } = picture;
    if (width * height > MEASURED_MAX)
      throw new Problem(
        'Limit',
        `${width}x${height} pixels are more than this page compresses; the command line does it`,
      );
    this.size = gridSize(this.header(0));
    const { measured, depth } = measure(model, picture, this.size, progress);
    this.measured = measured;
    this.depth = depth;
    this.literal = isFlat(picture) ? this.encodeLiteral() : undefined;
  }

  encode(wish: Wish): Encoded {
    if ('quality' in wish) return this.smaller(this.attempt(wish.quality));
    if (this.literal && this.literal.length <= wish.bytes)
      return { data: this.literal, quality: 0 };
    if (!this.model.qualities) throw new Problem('Picture', 'the model has no qualities to search');
    // Where weights stand between whole qualities, they reach half of one beyond.
    const beyond = this.model.qualityScale === 1 ? STEP / 2 : 0;
    let [fitting, failing] = [STEP - beyond, this.model.qualities * STEP + beyond];
    let best = this.attempt(fitting / STEP);
    if (best.data.length > wish.bytes)
      throw new Problem('Picture', `the least that can be had is ${best.data.length} bytes`);
    const most = this.attempt(failing / STEP);
    if (most.data.length <= wish.bytes) return most;
    while (failing - fitting > 1) {
      const middle = (fitting + failing) >> 1;
      const found = this.attempt(middle / STEP);
      if (found.data.length <= wish.bytes) [best, fitting] = [found, middle];
      else failing = middle;
    }
    return best;
  }

  private smaller(encoded: Encoded): Encoded {
    const { literal } = this;
    return literal && literal.length < encoded.data.length
      ? { data: literal, quality: 0 }
      : encoded;
  }

  private header(quality: number): Header {
    const { width, height } = this.picture;
    const { sha256, strideLog2 } = this.model;
    const model = sha256.slice(0, 16);
    return { mode: Mode.Prior, quality, width, height, model, strideLog2, tileLog2: TILE_LOG2 };
  }

  private attempt(quality: number): Encoded {
    const { told, weight } = this.setting(quality);
    const header = this.header(told);
    const tiles = tiling(header);
    const streams = Array.from({ length: tiles.count }, (_, tile) => {
      const box = tiles.box(tile);
      return this.model.encode(this.measuredOf(box), box, told, weight).stream;
    });
    return { data: serialise({ header, chunks: this.chunks, tiles: streams }), quality };
  }

  /** What the model is told, as `Qualities` of vqcodec/codec/search.py has it: the nearest quality
   * that the header can have, and a weight of bits that stands for the rest of a whole one.
   */
  private setting(quality: number): { told: number; weight: number } {
    const { qualities, qualityScale: scale } = this.model;
    if (!qualities) return { told: 0, weight: 1 };
    const nearest = scale > 1 ? Math.floor(quality * scale + 0.5) : Math.ceil(quality - 0.5);
    const told = Math.min(Math.max(nearest, scale), scale * qualities);
    return { told, weight: scale > 1 ? 1 : 1 + told - quality };
  }

  private measuredOf(box: Box): Float32Array {
    const { rows, columns } = sizeOf(box);
    const numbers = new Float32Array(rows * columns * this.depth);
    for (let row = 0; row < rows; row++) {
      const start = ((box.top + row) * this.size.columns + box.left) * this.depth;
      const width = columns * this.depth;
      numbers.set(this.measured.subarray(start, start + width), row * width);
    }
    return numbers;
  }

  private encodeLiteral(): Uint8Array<ArrayBuffer> {
    const { width, height } = this.picture;
    const header: Header = {
      ...{ mode: Mode.Literal, quality: 0, width, height, model: '0'.repeat(16) },
      ...{ strideLog2: LITERAL_STRIDE_LOG2, tileLog2: LITERAL_TILE_LOG2 },
    };
    const tiles = tiling(header);
    const all = { top: 0, left: 0, bottom: height, right: width };
    const streams = Array.from({ length: tiles.count }, (_, tile) => {
      const place = common(scaled(tiles.box(tile), 2 ** LITERAL_STRIDE_LOG2), all);
      return encodeLiteral(this.model.kernel, coloursOf(this.picture, place), sizeOf(place));
    });
    return serialise({ header, chunks: this.chunks, tiles: streams });
  }
}

/** Measures a picture in windows, each with what surrounds it. */
function measure(
  model: Model,
  picture: Picture,
  size: Size,
  progress: Progress,
): { measured: Float32Array; depth: number } {
  const stride = 2 ** model.strideLog2;
  const grid = whole(size);
  const total = areaOf(grid);
  let measured = new Float32Array(0);
  let depth = 0;
  let done = 0;
  for (const inner of windows(grid, model.window)) {
    const outer = common(widened(inner, model.encoderHalo), grid);
    let layers = 0;
    const part = model.measure(cut(picture, scaled(outer, stride)), within(outer, inner), () => {
      layers++;
      progress((done + (areaOf(inner) * layers) / model.encoderLayers) / total);
    });
    done += areaOf(inner);
    if (!depth) {
      depth = part.depth;
      measured = new Float32Array(total * depth);
    }
    const { rows, columns } = sizeOf(inner);
    for (let row = 0; row < rows; row++)
      measured.set(
        part.numbers.subarray(row * columns * depth, (row + 1) * columns * depth),
        ((inner.top + row) * size.columns + inner.left) * depth,
      );
  }
  return { measured, depth };
}

/** The pixels of a box, which may leave the picture below and to the right. */
function cut(picture: Picture, box: Box): Picture {
  const right = Math.min(box.right, picture.width);
  const bottom = Math.min(box.bottom, picture.height);
  const [width, height] = [right - box.left, bottom - box.top];
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let row = 0; row < height; row++) {
    const start = ((box.top + row) * picture.width + box.left) * 4;
    pixels.set(picture.pixels.subarray(start, start + width * 4), row * width * 4);
  }
  return { pixels, width, height };
}

/** The colours RGB of a place. */
function coloursOf(picture: Picture, place: Box): Uint8Array {
  const { pixels } = cut(picture, place);
  const colours = new Uint8Array((pixels.length / 4) * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    colours[to] = pixels[from];
    colours[to + 1] = pixels[from + 1];
    colours[to + 2] = pixels[from + 2];
  }
  return colours;
}

/** Whether neighbours are often alike, or colours are few. */
function isFlat({ pixels, width, height }: Picture): boolean {
  const words = new Uint32Array(pixels.buffer, pixels.byteOffset, width * height);
  let [alike, count] = [0, 0];
  for (let y = 0; y < height; y += 4)
    for (let x = 1; x < width; x++, count++)
      alike += Number(words[y * width + x] === words[y * width + x - 1]);
  if (count > 0 && alike >= FLAT * count) return true;
  const colours = new Set<number>();
  let seen = 0;
  for (let y = 0; y < height && colours.size <= FEW_COLOURS; y += 5)
    for (let x = 0; x < width; x += 5, seen++) colours.add((words[y * width + x] | ALPHA) >>> 0);
  return seen >= ENOUGH && colours.size <= FEW_COLOURS;
}
