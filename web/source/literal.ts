/** Tiles that hold their pixels (format/SPEC.md, section 9, "Literal pixels"). */

import type { Size } from './grid.ts';
import type { Kernel } from './kernel.ts';
import { Outcome, checkOutcome } from './prior.ts';

const STRETCHES = 4096;
const SQUASH_HALF = 3072;

const STRETCH = Int32Array.from({ length: STRETCHES }, (_, place) =>
  Math.floor(256 * Math.log((2 * place + 1) / (2 * STRETCHES - 1 - 2 * place)) + 0.5),
);
const SQUASH = Int32Array.from({ length: 2 * SQUASH_HALF }, (_, place) => {
  const chance = Math.floor(65536 / (1 + Math.exp(-(place - SQUASH_HALF) / 256)) + 0.5);
  return Math.min(65535, Math.max(1, chance));
});

/** Returns a tile's pixels RGB. Throws a Problem if no encoder writes the stream. */
export function decodeLiteral(
  kernel: Kernel,
  stream: Uint8Array,
  { rows, columns }: Size,
): Uint8Array {
  const bytes = rows * columns * 3;
  return kernel.scope(({ allocate, copy }) => {
    const pixels = allocate(bytes);
    const words = stream.length / 4;
    const tables = [copy(STRETCH), copy(SQUASH)];
    checkOutcome(
      Number.isInteger(words)
        ? kernel.call.decode_literal(rows, columns, copy(stream), words, pixels, ...tables)
        : Outcome.Corrupt,
    );
    return kernel.bytes(pixels, bytes).slice();
  });
}

/** Returns the stream of a tile's pixels RGB. */
export function encodeLiteral(
  kernel: Kernel,
  pixels: Uint8Array,
  { rows, columns }: Size,
): Uint8Array<ArrayBuffer> {
  return kernel.scope(({ allocate, copy }) => {
    const words = allocate(4);
    const tables = [copy(STRETCH), copy(SQUASH)];
    const stream = kernel.need(
      kernel.call.encode_literal(rows, columns, copy(pixels), ...tables, words),
    );
    const length = 4 * kernel.integers(words, 1)[0];
    const written = kernel.bytes(stream, length).slice();
    kernel.call.release(stream);
    return written;
  });
}
