/** Model files: safetensors with one JSON text in the metadata (format/SPEC.md, section 10).
 *
 * A model comes from the page's own origin and has the SHA-256 that this gives for it; what is
 * checked here is that it is what the page expects.
 */

import { Problem } from './problems.ts';

const HEADER_MAX = 2 ** 20;

const ARRAYS = {
  I8: Int8Array,
  U8: Uint8Array,
  I16: Int16Array,
  I32: Int32Array,
  F32: Float32Array,
  F16: Uint16Array,
} as const;

type Kind = keyof typeof ARRAYS;

interface Place {
  readonly dtype: Kind;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

export class ModelFile {
  readonly metadata: Record<string, any>;
  private readonly places: Record<string, Place>;
  private readonly start: number;

  /** Throws a Problem if the bytes are no model's. */
  constructor(private readonly data: Uint8Array<ArrayBuffer>) {
    try {
      const length = Number(new DataView(data.buffer, data.byteOffset).getBigUint64(0, true));
      if (length > HEADER_MAX) throw new RangeError('header');
      this.start = 8 + length;
      const { __metadata__: texts, ...places } = JSON.parse(
        new TextDecoder().decode(data.subarray(8, this.start)),
      );
      this.metadata = JSON.parse(texts.vqcodec);
      this.places = places;
    } catch {
      throw new Problem('Model', 'the model is not a model file');
    }
  }

  has(name: string): boolean {
    return Object.hasOwn(this.places, name);
  }

  shape(name: string): readonly number[] {
    if (!this.has(name)) throw new Problem('Model', `the model has no tensor ${name}`);
    return this.places[name].shape;
  }

  /** Returns a copy of a tensor, float16 as float32; `shape` is what it must have, if given. */
  floats(name: string, shape?: readonly number[]): Float32Array<ArrayBuffer> {
    const values = this.read(name, ['F16', 'F32', 'I8', 'I32', 'U8'], shape);
    return values instanceof Uint16Array ? unpackHalves(values) : Float32Array.from(values);
  }

  /** Returns weights, one output after the other: float16, or 6 bits and a scale for each output. */
  weights(name: string, shape: readonly number[]): Float32Array<ArrayBuffer> {
    const scaleName = `${name}.scale`;
    if (!this.has(scaleName)) return this.floats(name, shape);
    const [outputs, ...rest] = shape;
    const each = rest.reduce((product, length) => product * length, 1);
    const packed = this.unsignedBytes(name, [Math.ceil((outputs * each) / 4) * 3]);
    const scales = this.floats(scaleName, [outputs]);
    const levels = unpackLevels(packed);
    return Float32Array.from(
      levels.subarray(0, outputs * each),
      (level, place) => level * scales[Math.floor(place / each)],
    );
  }

  bytes(name: string, shape?: readonly number[]): Int8Array<ArrayBuffer> {
    return this.read(name, ['I8'], shape) as Int8Array<ArrayBuffer>;
  }

  unsignedBytes(name: string, shape?: readonly number[]): Uint8Array<ArrayBuffer> {
    return this.read(name, ['U8'], shape) as Uint8Array<ArrayBuffer>;
  }

  shorts(name: string, shape?: readonly number[]): Int16Array<ArrayBuffer> {
    return this.read(name, ['I16'], shape) as Int16Array<ArrayBuffer>;
  }

  integers(name: string, shape?: readonly number[]): Int32Array<ArrayBuffer> {
    return this.read(name, ['I32'], shape) as Int32Array<ArrayBuffer>;
  }

  private read(name: string, kinds: readonly Kind[], shape = this.shape(name)) {
    const own = this.shape(name);
    const { dtype, data_offsets: offsets } = this.places[name];
    const count = own.reduce((product, length) => product * length, 1);
    const ArrayOf = ARRAYS[dtype];
    const [first, stop] = offsets;
    const fits =
      kinds.includes(dtype) &&
      own.length === shape.length &&
      own.every((length, axis) => length === shape[axis]) &&
      stop - first === count * ArrayOf?.BYTES_PER_ELEMENT &&
      first >= 0 &&
      this.start + stop <= this.data.length;
    if (!fits) throw new Problem('Model', `the model's tensor ${name} is not as expected`);
    // A copy, as tensors need not lie where arrays of their type may begin.
    return new ArrayOf(this.data.slice(this.start + first, this.start + stop).buffer);
  }
}

/** Turns three bytes after three into four levels each, -32 to 31. */
function unpackLevels(packed: Uint8Array): Int8Array {
  const levels = new Int8Array((packed.length / 3) * 4);
  for (let from = 0, to = 0; from < packed.length; from += 3, to += 4) {
    const word = (packed[from] << 16) | (packed[from + 1] << 8) | packed[from + 2];
    for (let part = 0; part < 4; part++) levels[to + part] = ((word >> (18 - 6 * part)) & 63) - 32;
  }
  return levels;
}

let halves: Float32Array<ArrayBuffer> | undefined;

/** Turns float16 bits into float32 numbers. */
function unpackHalves(bits: Uint16Array): Float32Array<ArrayBuffer> {
  halves ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => {
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    const sign = half >> 15 ? -1 : 1;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
  });
  const table = halves;
  return Float32Array.from(bits, (half) => table[half]);
}
