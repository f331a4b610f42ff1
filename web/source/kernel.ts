/** The C kernel as a WebAssembly module, and its memory (web/kernel says what functions do). */

import { Problem } from './problems.ts';

interface Exports {
  readonly memory: WebAssembly.Memory;
  _initialize(): void;
  allocate(size: number): number;
  release(pointer: number): void;
  new_network(...numbers: number[]): number;
  set_taps(network: number, layer: number, offsets: number, count: number): number;
  set_layer(...numbers: number[]): number;
  set_block(...numbers: number[]): number;
  complete_network(network: number): number;
  decode_tile(...numbers: number[]): number;
  encode_tile(...numbers: number[]): number;
  decode_literal(...numbers: number[]): number;
  encode_literal(...numbers: number[]): number;
  new_convolution(...numbers: number[]): number;
  convolve(...numbers: number[]): number;
  rectify(source: number, count: number, target: number): void;
  shuffle(...numbers: number[]): void;
  crop(...numbers: number[]): void;
  digit(source: number, count: number, shift: number, target: number): void;
  digits(...numbers: number[]): void;
  join_digits(...numbers: number[]): void;
  draw(...numbers: number[]): void;
  undraw(...numbers: number[]): void;
}

/** What arrays in the kernel's memory can be of. */
export type Numbers = Int8Array | Uint8Array | Int16Array | Int32Array | Float32Array;

/** An instance, with memory of its own: what is there goes when nobody has the instance. */
export class Kernel {
  readonly call: Exports;

  constructor(module: WebAssembly.Module) {
    this.call = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
    this.call._initialize();
  }

  /** Returns a pointer to memory of so many bytes, which the caller releases. */
  allocate(bytes: number): number {
    const pointer = bytes < 2 ** 31 ? this.call.allocate(bytes) : 0;
    if (!pointer) throw new Problem('Memory', 'there is not enough memory for this picture');
    return pointer;
  }

  /** Throws if a function of the kernel could not do its work for want of memory. */
  need(result: number): number {
    if (!result) throw new Problem('Memory', 'there is not enough memory for this picture');
    return result;
  }

  bytes(pointer: number, count: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.buffer, pointer, count);
  }

  integers(pointer: number, count: number): Int32Array<ArrayBuffer> {
    return new Int32Array(this.buffer, pointer, count);
  }

  /** A view is valid until memory is next allocated. */
  floats(pointer: number, count: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.buffer, pointer, count);
  }

  /** Lends memory to a function: whatever it allocates by the scope is released when it ends. */
  scope<Result>(use: (scope: Scope) => Result): Result {
    const pointers: number[] = [];
    const allocate = (bytes: number): number => {
      const pointer = this.allocate(bytes);
      pointers.push(pointer);
      return pointer;
    };
    const own = <Owned extends { readonly pointer: number }>(owned: Owned): Owned => {
      pointers.push(owned.pointer);
      return owned;
    };
    const copy = (numbers: Numbers | null): number => {
      if (!numbers) return 0;
      const pointer = allocate(numbers.byteLength);
      this.bytes(pointer, numbers.byteLength).set(
        new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength),
      );
      return pointer;
    };
    try {
      return use({ allocate, copy, own });
    } finally {
      for (const pointer of pointers) this.call.release(pointer);
    }
  }

  private get buffer(): ArrayBuffer {
    return this.call.memory.buffer as ArrayBuffer;
  }
}

export interface Scope {
  allocate(bytes: number): number;
  /** Copies numbers, and returns where they are, or 0 for none. */
  copy(numbers: Numbers | null): number;
  /** Takes over what was allocated elsewhere. */
  own<Owned extends { readonly pointer: number }>(owned: Owned): Owned;
}
