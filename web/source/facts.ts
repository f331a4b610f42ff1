/** Facts about files in words for people. */

import type { Facts } from './messages.ts';

export const grouped = (number: number): string => number.toLocaleString('en');

/** A quality with at most two digits after the point. */
export const rounded = (quality: number): string => String(Math.round(quality * 100) / 100);

const MODES = {
  fixed: 'indices of fixed length',
  prior: 'indices, range-coded',
  literal: 'pixels, exactly',
  mixed: 'indices and exact pixels',
} as const;

/** Returns names and values, in the order in which they are shown. */
export function describe(facts: Facts): (readonly [string, string])[] {
  const { width, height, bytes, model, quality, rows, columns, tiles, literalTiles } = facts;
  const found: (readonly [string, string] | false)[] = [
    ['Picture', `${grouped(width)} × ${grouped(height)} pixels`],
    ['Size', `${grouped(bytes)} bytes, ${((3 * width * height) / bytes).toFixed(1)} : 1`],
    ['Bits', `${((8 * bytes) / (width * height)).toFixed(3)} per pixel`],
    ['Holds', MODES[facts.mode]],
    ['Model', model ? `${model.name} (${model.hash})` : 'none needed'],
    quality > 0 && ['Quality', rounded(quality)],
    [
      'Grid',
      `${grouped(columns)} × ${grouped(rows)} in ${grouped(tiles)} ${tiles > 1 ? 'tiles' : 'tile'}`,
    ],
    facts.mode === 'mixed' && ['Exact', `${grouped(literalTiles)} of ${grouped(tiles)} tiles`],
    ['Tiles', `${grouped(facts.payload)} bytes`],
    ...facts.chunks.map(([type, size]) => [`Chunk ${type}`, `${grouped(size)} bytes`] as const),
  ];
  return found.filter((row) => row !== false);
}
