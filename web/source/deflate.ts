/** zlib streams (RFC 1950), by the browser's own (un)packers, and PNG pictures made of them. */

import { crc32 } from './checksum.ts';
import { joined } from './container.ts';
import type { Picture } from './model.ts';
import { Problem } from './problems.ts';
import { partsOf } from './streams.ts';

const UNPACKED_MAX = 2 ** 24;
const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/** Unpacks the zlib stream that a chunk is. Throws a Problem if it is none, or too large. */
export async function inflate(chunk: string, packed: Uint8Array): Promise<Uint8Array> {
  return unpacked(packed, UNPACKED_MAX, `chunk ${chunk}`, 'Limit');
}

async function unpacked(
  packed: Uint8Array,
  most: number,
  name: string,
  kindIfLarger: 'Limit' | 'Corrupt',
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const stream = new Blob([packed as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream('deflate'));
  try {
    for await (const part of partsOf(stream)) {
      length += part.length;
      if (length > most)
        throw new Problem(kindIfLarger, `${name} unpacks to more than ${most} bytes`);
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem('Corrupt', `${name} is not one whole zlib stream`);
  }
  return joined(parts);
}

async function deflated(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([data]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Reads the alpha (height, width) of an ALPH chunk (format/SPEC.md, section 4). */
export async function readAlpha(
  png: Uint8Array,
  width: number,
  height: number,
): Promise<Uint8Array> {
  const wrong = new Problem(
    'Corrupt',
    `chunk ALPH is not a grey PNG picture of ${width}x${height}`,
  );
  const start = joined([SIGNATURE, pngChunk('IHDR', headerOf(width, height, GREY))]);
  // The checksums of a PNG file are not looked at: the chunk has one.
  if (start.subarray(0, -4).some((byte, place) => png[place] !== byte)) throw wrong;
  const rows = await unpacked(
    packedRows(png, wrong),
    height * (1 + width),
    'chunk ALPH',
    'Corrupt',
  );
  if (rows.length !== height * (1 + width)) throw wrong;
  return unfiltered(rows, width, height, wrong);
}

/** What the IDAT chunks of a PNG picture hold. */
function packedRows(png: Uint8Array, wrong: Problem): Uint8Array {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const parts: Uint8Array[] = [];
  for (let at = SIGNATURE.length; ;) {
    if (at + 8 > png.length) throw wrong;
    const size = view.getUint32(at);
    const type = String.fromCharCode(...png.subarray(at + 4, at + 8));
    if (type === 'IEND') return joined(parts);
    if (type === 'IDAT') parts.push(png.subarray(at + 8, at + 8 + size));
    at += 12 + size;
  }
}

/** Undoes the filters of rows (PNG specification, section 9). */
function unfiltered(rows: Uint8Array, width: number, height: number, wrong: Problem): Uint8Array {
  const samples = new Uint8Array(width * height);
  for (let y = 0, from = 0, at = 0; y < height; y++) {
    const filter = rows[from++];
    if (filter > 4) throw wrong;
    for (let x = 0; x < width; x++, at++) {
      const left = x ? samples[at - 1] : 0;
      const up = y ? samples[at - width] : 0;
      const corner = x && y ? samples[at - width - 1] : 0;
      samples[at] = rows[from++] + guess(filter, left, up, corner);
    }
  }
  return samples;
}

function guess(filter: number, left: number, up: number, corner: number): number {
  if (filter < 2) return filter * left;
  if (filter === 2) return up;
  return filter === 3 ? (left + up) >> 1 : paeth(left, up, corner);
}

function paeth(left: number, up: number, corner: number): number {
  const [toLeft, toUp] = [Math.abs(up - corner), Math.abs(left - corner)];
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

const GREY = 0;
const COLOUR = 2;
const COLOUR_AND_ALPHA = 6;

/** Writes a PNG picture, with alpha if not all pixels are opaque; `chunks` go before the pixels. */
export async function writePng(
  picture: Picture,
  chunks: readonly (readonly [string, Uint8Array])[],
): Promise<Uint8Array<ArrayBuffer>> {
  const colours = isOpaque(picture) ? COLOUR : COLOUR_AND_ALPHA;
  return written(picture, colours, filtered(picture, 0, colours === COLOUR ? 3 : 4), chunks);
}

/** Writes a picture's alpha as an ALPH chunk has it. */
export function writeAlpha(picture: Picture): Promise<Uint8Array<ArrayBuffer>> {
  return written(picture, GREY, filtered(picture, 3, 4), []);
}

export function isOpaque({ pixels }: Picture): boolean {
  for (let at = 3; at < pixels.length; at += 4) if (pixels[at] !== 255) return false;
  return true;
}

async function written(
  { width, height }: Picture,
  colours: number,
  rows: Uint8Array<ArrayBuffer>,
  chunks: readonly (readonly [string, Uint8Array])[],
): Promise<Uint8Array<ArrayBuffer>> {
  return joined([
    SIGNATURE,
    pngChunk('IHDR', headerOf(width, height, colours)),
    ...chunks.map(([type, data]) => pngChunk(type, data)),
    pngChunk('IDAT', await deflated(rows)),
    pngChunk('IEND', new Uint8Array(0)),
  ]);
}

function headerOf(width: number, height: number, colours: number): Uint8Array {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, colours], 8);
  return header;
}

function pngChunk(type: string, data: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(12 + data.length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  for (let place = 0; place < 4; place++) chunk[4 + place] = type.charCodeAt(place);
  chunk.set(data, 8);
  view.setUint32(8 + data.length, crc32(chunk.subarray(4, 8 + data.length)));
  return chunk;
}

/** Rows of the samples `first` to `stop` - 1 of pixels, each less the Paeth filter's guess. */
function filtered(
  { pixels, width, height }: Picture,
  first: number,
  stop: number,
): Uint8Array<ArrayBuffer> {
  const rows = new Uint8Array(height * (1 + width * (stop - first)));
  let to = 0;
  for (let y = 0; y < height; y++) {
    rows[to++] = 4;
    for (let x = 0; x < width; x++)
      for (let sample = first; sample < stop; sample++) {
        const at = (y * width + x) * 4 + sample;
        const left = x ? pixels[at - 4] : 0;
        const up = y ? pixels[at - 4 * width] : 0;
        const corner = x && y ? pixels[at - 4 * width - 4] : 0;
        rows[to++] = pixels[at] - paeth(left, up, corner);
      }
  }
  return rows;
}
