/** The .vqc container: bytes to values and back (format/SPEC.md, sections 1 to 5).
 *
 * Nothing is allocated from a number in a file before that number has been held against the
 * file's size or a limit.
 */

import { crc32 } from './checksum.ts';
import { type Size, Tiling } from './grid.ts';
import { Problem } from './problems.ts';

const SIGNATURE = [0x8b, 0x56, 0x51, 0x43, 0x0d, 0x0a, 0x1a, 0x0a];
const VERSION = 1;
const PICTURE = 1;
const OTHERS: Record<number, string> = { 2: 'sound', 3: 'a clip' };
const MODEL_BYTES = 8;
const SIDE_MAX = 2 ** 24 - 1;
const TILE_LOG2_MIN = 4;
const CHUNKS_MAX = 64;
const CHUNK_BYTES_MAX = 2 ** 28;
const CRC_BYTES = 4;
const VARINT_MAX = 2 ** 32 - 1;
const CRITICAL = 'ALPH';
/** Most pixels of a picture that is shown or made. */
const PIXELS_MAX = 2 ** 28;

export enum Mode {
  Fixed,
  Prior,
  Literal,
  Mixed,
}

export interface Header {
  readonly mode: Mode;
  /** 0 where the model has no qualities. */
  readonly quality: number;
  readonly width: number;
  readonly height: number;
  /** First 8 bytes of the model file's SHA-256, hexadecimal; zeros in literal files. */
  readonly model: string;
  readonly strideLog2: number;
  readonly tileLog2: number;
}

export interface Container {
  readonly header: Header;
  /** The data of the chunks by type, in ascending order. */
  readonly chunks: ReadonlyMap<string, Uint8Array>;
  /** The streams of the tiles. */
  readonly tiles: readonly Uint8Array[];
}

export const stride = (header: Header): number => 2 ** header.strideLog2;

export const gridSize = (header: Header): Size => ({
  rows: Math.ceil(header.height / stride(header)),
  columns: Math.ceil(header.width / stride(header)),
});

export const tiling = (header: Header): Tiling =>
  new Tiling(gridSize(header), 2 ** header.tileLog2);

/** Reads a file of a picture, checking all that needs no model. Throws a Problem. */
export function parse(data: Uint8Array): Container {
  const reader = new Reader(data);
  const { header, chunkCount } = reader.header();
  const table = reader.tileTable(header);
  reader.checksum('header checksum', 0);
  const chunks = new Map<string, Uint8Array>();
  let previous = '';
  for (let number = 0; number < chunkCount; number++) {
    const { type, content } = reader.chunk(previous);
    chunks.set(type, content);
    previous = type;
  }
  const tiles = Array.from(table.sizes, (size, tile) =>
    reader.tile(tile, size, table.checksums[tile]),
  );
  if (reader.left) throw new Problem('Corrupt', `${reader.left} bytes follow the last tile`);
  return { header, chunks, tiles };
}

class Reader {
  private at = 0;
  private readonly view: DataView;

  constructor(private readonly data: Uint8Array) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  get left(): number {
    return this.data.length - this.at;
  }

  header(): { header: Header; chunkCount: number } {
    this.signature();
    const medium = this.byte('media type');
    if (medium !== PICTURE) {
      const held = OTHERS[medium];
      const holds = held ? `the file holds ${held}` : `media type ${medium} is not known`;
      throw new Problem('Version', `${holds}; this page shows pictures`);
    }
    const mode = this.byte('mode');
    if (!(mode in Mode)) throw new Problem('Version', `mode ${mode} is not known to this page`);
    const quality = this.byte('quality', 0, mode === Mode.Literal ? 0 : 255);
    const width = this.varint('width', 1, SIDE_MAX);
    const height = this.varint('height', 1, SIDE_MAX);
    if (width * height > PIXELS_MAX)
      throw new Problem('Limit', `${width}x${height} is more than ${PIXELS_MAX} pixels`);
    const model = this.take('model', MODEL_BYTES);
    if (mode === Mode.Literal && model.some((byte) => byte !== 0))
      throw new Problem('Corrupt', 'a literal file names a model');
    const header = {
      mode,
      quality,
      width,
      height,
      model: hexadecimal(model),
      strideLog2: this.byte('stride_log2', 0, 7),
      tileLog2: this.byte('tile_log2', TILE_LOG2_MIN, 10),
    };
    return { header, chunkCount: this.byte('chunk count', 0, CHUNKS_MAX) };
  }

  tileTable(header: Header): { sizes: Uint32Array; checksums: Uint32Array } {
    const { count } = tiling(header);
    if (count * (1 + CRC_BYTES) > this.left)
      throw new Problem('Truncated', `${count} tiles cannot fit into the rest of the file`);
    const sizes = new Uint32Array(count);
    const checksums = new Uint32Array(count);
    let left = this.data.length;
    for (let tile = 0; tile < count; tile++) {
      sizes[tile] = this.varint('tile size', 0, VARINT_MAX);
      left -= sizes[tile];
      if (left < 0)
        throw new Problem('Truncated', `tile ${tile}: the file is shorter than its tiles`);
      checksums[tile] = this.word('tile checksum');
    }
    return { sizes, checksums };
  }

  chunk(previous: string): { type: string; content: Uint8Array } {
    const start = this.at;
    const type = String.fromCharCode(...this.take('chunk type', 4));
    if (!/^[A-Za-z][A-Za-z0-9]{3}$/.test(type))
      throw new Problem('Corrupt', 'a chunk type is not four ASCII letters or digits');
    if (type <= previous)
      throw new Problem('Corrupt', `chunk ${type} is not in ascending order of type, each once`);
    const size = this.varint(`chunk ${type} size`, 0, VARINT_MAX);
    if (size > CHUNK_BYTES_MAX) throw new Problem('Limit', `chunk ${type} has ${size} bytes`);
    const content = this.take(`chunk ${type}`, size);
    this.checksum(`chunk ${type} checksum`, start);
    if (type[0] < 'a' && type !== CRITICAL)
      throw new Problem('Version', `chunk ${type} is needed and not known to this page`);
    return { type, content };
  }

  tile(number: number, size: number, checksum: number): Uint8Array {
    const stream = this.take('a tile', size);
    if (crc32(stream) !== checksum)
      throw new Problem('Checksum', `tile ${number} does not match its checksum`);
    return stream;
  }

  checksum(name: string, start: number): void {
    const expected = crc32(this.data.subarray(start, this.at));
    if (this.word(name) !== expected) throw new Problem('Checksum', `${name} does not match`);
  }

  private signature(): void {
    const start = this.data.subarray(0, SIGNATURE.length);
    if (!start.length || start.some((byte, place) => byte !== SIGNATURE[place]))
      throw new Problem('NotVqc', 'this is not a .vqc file');
    this.take('signature', SIGNATURE.length);
    const version = this.byte('version');
    if (version !== VERSION)
      throw new Problem('Version', `version ${version} of the format is not known to this page`);
  }

  private take(name: string, size: number): Uint8Array {
    if (size > this.left) throw new Problem('Truncated', `the file ends inside ${name}`);
    this.at += size;
    return this.data.subarray(this.at - size, this.at);
  }

  private word(name: string): number {
    this.take(name, CRC_BYTES);
    return this.view.getUint32(this.at - CRC_BYTES, true);
  }

  private byte(name: string, least = 0, most = 255): number {
    return inRange(name, this.take(name, 1)[0], least, most);
  }

  private varint(name: string, least: number, most: number): number {
    let value = 0;
    for (let power = 1; power < 2 ** 35; power *= 128) {
      const byte = this.take(name, 1)[0];
      value += (byte & 127) * power;
      if (byte < 128) {
        if (power > 1 && !byte)
          throw new Problem('Corrupt', `${name}: an integer is longer than it need be`);
        return inRange(name, value, least, most);
      }
    }
    throw new Problem('Corrupt', `${name}: an integer has no end`);
  }
}

function inRange(name: string, value: number, least: number, most: number): number {
  if (value < least || value > most)
    throw new Problem('Corrupt', `${name} is ${value}, not ${least} to ${most}`);
  return value;
}

export const hexadecimal = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Writes a file. There is one way to write a container. */
export function serialise({ header, chunks, tiles }: Container): Uint8Array<ArrayBuffer> {
  const head: number[] = [...SIGNATURE, VERSION, PICTURE, header.mode, header.quality];
  putVarint(head, header.width);
  putVarint(head, header.height);
  for (let at = 0; at < 2 * MODEL_BYTES; at += 2)
    head.push(Number.parseInt(header.model.slice(at, at + 2), 16));
  head.push(header.strideLog2, header.tileLog2, chunks.size);
  for (const tile of tiles) {
    putVarint(head, tile.length);
    putWord(head, crc32(tile));
  }
  putWord(head, crc32(Uint8Array.from(head)));
  const parts = [Uint8Array.from(head)];
  for (const [type, content] of chunks) {
    const start = Array.from(type, (letter) => letter.charCodeAt(0));
    putVarint(start, content.length);
    const chunk = joined([Uint8Array.from(start), content]);
    const end: number[] = [];
    putWord(end, crc32(chunk));
    parts.push(chunk, Uint8Array.from(end));
  }
  return joined([...parts, ...tiles]);
}

export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function putVarint(to: number[], value: number): void {
  for (; value > 127; value = Math.floor(value / 128)) to.push((value % 128) + 128);
  to.push(value);
}

function putWord(to: number[], value: number): void {
  for (let shift = 0; shift < 32; shift += 8) to.push((value >>> shift) & 255);
}
