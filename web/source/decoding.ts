/** The pixels of a part of a file: what its model makes of indices, and literal tiles. */

import { type Container, type Header, Mode, gridSize, stride, tiling } from './container.ts';
import {
  type Box,
  type Size,
  type Tiling,
  areaOf,
  common,
  covering,
  meet,
  scaled,
  sizeOf,
  whole,
  widened,
  windows,
  within,
} from './grid.ts';
import type { Kernel } from './kernel.ts';
import { decodeLiteral } from './literal.ts';
import type { Model, Pixels } from './model.ts';
import { Problem } from './problems.ts';

/** Bytes of decoded tiles that are kept, beside the one that is at hand. */
const KEPT_BYTES = 2 ** 27;

/** Told what part of the work is done, 0 to 1. */
export type Progress = (done: number) => void;

/** Raises a Problem if a file cannot be one of the model's. */
export function checkModel(header: Header, model: Model): void {
  const most = model.qualities * model.qualityScale;
  const least = Math.min(model.qualityScale, most);
  if (header.quality < least || header.quality > most)
    throw new Problem('Corrupt', `quality is ${header.quality}, the model has ${least} to ${most}`);
  if (header.strideLog2 !== model.strideLog2)
    throw new Problem('Corrupt', `stride_log2 is ${header.strideLog2}, the model's is another`);
}

export class Decoder {
  readonly tiling: Tiling;
  private readonly groups: number;
  /** Indices or pixels of decoded tiles, those that were used last at the end. */
  private readonly tiles = new Map<number, Uint16Array | Uint8Array>();
  private tileBytes = 0;

  /** `model` is null for a literal file, which has none. */
  constructor(
    private readonly kernel: Kernel,
    private readonly container: Container,
    private readonly model: Model | null,
  ) {
    this.tiling = tiling(container.header);
    this.groups = model ? model.groups(container.header.quality) : 0;
  }

  /** How many tiles hold pixels instead of indices. */
  literalCount(): number {
    return this.container.tiles.filter((_, tile) => this.isLiteral(tile)).length;
  }

  /** Draws an area, rows and columns of the picture, opaque. */
  draw(area: Box, progress: Progress = () => {}): Pixels {
    const { header } = this.container;
    const own = stride(header);
    const { rows, columns } = sizeOf(area);
    const pixels = new Uint8ClampedArray(rows * columns * 4);
    const tiles = this.tiling.touching(covering(area, own));
    const literal = tiles.filter((tile) => this.isLiteral(tile));
    if (literal.length < tiles.length) this.drawIndices(area, pixels, progress);
    literal.forEach((tile, number) => {
      this.paste(tile, area, pixels);
      progress((number + 1) / literal.length);
    });
    return pixels;
  }

  /** Decodes all tiles, and returns all indices, (rows, columns, G); of a literal file none. */
  indices(): Uint16Array {
    for (let tile = 0; tile < this.tiling.count; tile++)
      if (this.isLiteral(tile)) this.pixelsOf(tile, sizeOf(this.placeOf(tile)));
    return this.gridOf(whole(gridSize(this.container.header)));
  }

  private drawIndices(area: Box, pixels: Pixels, progress: Progress): void {
    const model = this.model!;
    const { header } = this.container;
    const own = stride(header);
    const positions = covering(area, own);
    const grid = whole(gridSize(header));
    const parts = [...windows(positions, model.window)].filter((inner) =>
      this.tiling.touching(inner).some((tile) => !this.isLiteral(tile)),
    );
    const total = parts.reduce((sum, inner) => sum + areaOf(inner), 0);
    let done = 0;
    for (const inner of parts) {
      const outer = common(widened(inner, model.decoderHalo), grid);
      const indices = this.gridOf(outer);
      let layers = 0;
      const drawn = model.draw(indices, outer, header.quality, within(outer, inner), () => {
        layers++;
        progress((done + (areaOf(inner) * layers) / model.decoderLayers) / total);
      });
      done += areaOf(inner);
      copyPixels(drawn, scaled(inner, own), pixels, area);
    }
  }

  private paste(tile: number, area: Box, pixels: Pixels): void {
    const place = this.placeOf(tile);
    const content = this.pixelsOf(tile, sizeOf(place));
    const opaque = new Uint8ClampedArray((content.length / 3) * 4);
    for (let from = 0, to = 0; from < content.length; from += 3, to += 4) {
      opaque[to] = content[from];
      opaque[to + 1] = content[from + 1];
      opaque[to + 2] = content[from + 2];
      opaque[to + 3] = 255;
    }
    copyPixels(opaque, place, pixels, area);
  }

  /** Returns the indices of a box of positions, as networks see them. */
  private gridOf(box: Box): Uint16Array {
    const { rows, columns } = sizeOf(box);
    const grid = new Uint16Array(rows * columns * this.groups);
    if (!this.groups) return this.checkedWithoutGroups(box, grid);
    for (const tile of this.tiling.touching(box)) {
      const shared = common(this.tiling.box(tile), box);
      for (let row = shared.top; row < shared.bottom; row++)
        for (let column = shared.left; column < shared.right; column++) {
          const at = ((row - box.top) * columns + column - box.left) * this.groups;
          if (this.isLiteral(tile)) this.continueInto(tile, row, column, grid, at);
          else {
            const part = this.partOf(tile, row, column);
            grid.set(part, at);
          }
        }
    }
    return grid;
  }

  /** Positions may have no indices; the streams of tiles are checked all the same. */
  private checkedWithoutGroups(box: Box, grid: Uint16Array): Uint16Array {
    if (this.model)
      for (const tile of this.tiling.touching(box)) if (!this.isLiteral(tile)) this.decoded(tile);
    return grid;
  }

  /** The indices of a position of a tile that has some. */
  private partOf(tile: number, row: number, column: number): Uint16Array {
    const { top, left, right } = this.tiling.box(tile);
    const at = ((row - top) * (right - left) + column - left) * this.groups;
    return this.decoded(tile).subarray(at, at + this.groups);
  }

  /** Gives a position of a literal tile the indices that are nearest above, below, to the left or
   * to the right in a tile that has some (format/SPEC.md, section 9).
   */
  private continueInto(
    tile: number,
    row: number,
    column: number,
    grid: Uint16Array,
    at: number,
  ): void {
    const { top, bottom, left, right } = this.tiling.box(tile);
    const ways = [
      [row - top, top - 1, column],
      [bottom - 1 - row, bottom, column],
      [column - left, row, left - 1],
      [right - 1 - column, row, right],
    ];
    let least = Infinity;
    this.tiling.beside(tile).forEach((other, way) => {
      const [distance, y, x] = ways[way];
      if (other === undefined || distance >= least || this.isLiteral(other)) return;
      least = distance;
      grid.set(this.partOf(other, y, x), at);
    });
  }

  private isLiteral(tile: number): boolean {
    const { header, tiles } = this.container;
    if (header.mode !== Mode.Mixed) return header.mode === Mode.Literal;
    const kind = tiles[tile][0];
    if (kind !== 0 && kind !== 1)
      throw new Problem('Corrupt', `tile ${tile} of a mixed file does not say what it holds`);
    return kind === 1;
  }

  private contentOf(tile: number): Uint8Array {
    const { header, tiles } = this.container;
    return header.mode === Mode.Mixed ? tiles[tile].subarray(1) : tiles[tile];
  }

  /** The pixels of a tile: rows and columns of the picture. */
  private placeOf(tile: number): Box {
    const { header } = this.container;
    return common(scaled(this.tiling.box(tile), stride(header)), {
      ...{ top: 0, left: 0, bottom: header.height, right: header.width },
    });
  }

  private pixelsOf(tile: number, size: Size): Uint8Array {
    return this.kept(tile, () => decodeLiteral(this.kernel, this.contentOf(tile), size));
  }

  private decoded(tile: number): Uint16Array {
    return this.kept(tile, () => {
      const model = this.model!;
      const { header } = this.container;
      const size = sizeOf(this.tiling.box(tile));
      const stream = this.contentOf(tile);
      return header.mode === Mode.Fixed
        ? unpackFixed(stream, size.rows * size.columns, model, header.quality)
        : model.prior(header.quality).decode(stream, size);
    });
  }

  /** Returns what a tile holds, decoded once as long as it is used now and then. */
  private kept<Content extends Uint16Array | Uint8Array>(
    tile: number,
    decode: () => Content,
  ): Content {
    const known = this.tiles.get(tile);
    this.tiles.delete(tile);
    const content = (known as Content | undefined) ?? decode();
    this.tiles.set(tile, content);
    if (!known) this.tileBytes += content.byteLength;
    for (const [oldest, bytes] of this.tiles) {
      if (this.tileBytes <= KEPT_BYTES || oldest === tile) break;
      this.tiles.delete(oldest);
      this.tileBytes -= bytes.byteLength;
    }
    return content;
  }
}

/** Copies the pixels of a place to where they are in an area. */
function copyPixels(source: Pixels, place: Box, target: Pixels, area: Box): void {
  if (!meet(place, area)) return;
  const shared = common(place, area);
  const [from, to] = [sizeOf(place).columns, sizeOf(area).columns];
  const width = (shared.right - shared.left) * 4;
  for (let row = shared.top; row < shared.bottom; row++) {
    const start = ((row - place.top) * from + shared.left - place.left) * 4;
    const at = ((row - area.top) * to + shared.left - area.left) * 4;
    target.set(source.subarray(start, start + width), at);
  }
}

/** Reads indices of fixed length (format/SPEC.md, section 5). */
function unpackFixed(
  stream: Uint8Array,
  positions: number,
  model: Model,
  quality: number,
): Uint16Array {
  const codewords = model.codewords(quality);
  const count = positions * codewords.length;
  const width = Math.ceil(Math.log2(model.codebookSize));
  if (stream.length !== Math.ceil((count * width) / 8))
    throw new Problem(
      'Corrupt',
      `${count} indices of ${width} bits do not make ${stream.length} bytes`,
    );
  const indices = new Uint16Array(count);
  let [held, bits, at] = [0, 0, 0];
  for (let number = 0; number < count; number++) {
    for (; bits < width; bits += 8) held = ((held << 8) | stream[at++]) & 0xffffff;
    bits -= width;
    indices[number] = (held >> bits) & ((1 << width) - 1);
    if (indices[number] >= codewords[number % codewords.length])
      throw new Problem('Corrupt', `index ${indices[number]} has no codeword`);
  }
  if (held & ((1 << bits) - 1))
    throw new Problem('Corrupt', 'padding after the last index is not 0');
  return indices;
}
