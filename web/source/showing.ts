/** From the worker's drawings to what is shown: large pictures reduced, parts of them in full. */

import type { Client } from './client.ts';
import { type Box, areaOf, sizeOf, whole, windows } from './grid.ts';
import type { Facts } from './messages.ts';
import type { Source } from './viewer.ts';

/** Most pixels of a picture that is shown in full. */
const SHOWN_MAX = 2 ** 24;
/** Most pixels of a part that is decoded to be looked at closely. */
const DETAIL_MAX = 2 ** 24;
/** Sides of the parts that a picture is drawn in, in pixels: whole tiles of most files. */
const PART = 1024;
/** Sides of the squares that are finished before the next is begun: the largest tiles of files
 * that hold pixels.
 */
const BLOCK = 4096;

export interface Shown extends Source {
  readonly image: OffscreenCanvas;
  /** Pixels of the picture, along each axis, for one that is shown. */
  readonly reduction: number;
}

/** Draws the worker's open file part by part; `show` is told after each. */
export async function draw(
  client: Client,
  { width, height }: Pick<Facts, 'width' | 'height'>,
  show: (shown: Shown) => void,
): Promise<Shown> {
  let reduction = 1;
  while (Math.ceil(width / reduction) * Math.ceil(height / reduction) > SHOWN_MAX) reduction *= 2;
  const reduced = (length: number) => Math.round(length / reduction);
  const side = (length: number) => Math.max(1, reduced(length));
  const image = new OffscreenCanvas(side(width), side(height));
  const context = image.getContext('2d')!;
  const blocks = [...windows(whole({ rows: height, columns: width }), BLOCK)];
  const parts = blocks.flatMap((block) => [...windows(block, PART)]);
  for (const [number, area] of parts.entries()) {
    const { rows, columns } = sizeOf(area);
    const size = { width: side(columns), height: side(rows) };
    const part = await client.ask('draw', { area, ...size }, [], (stage, progress) =>
      client.report(stage, (number + progress) / parts.length),
    );
    context.drawImage(part, reduced(area.left), reduced(area.top));
    part.close();
    show({ image, reduction });
  }
  return { image, reduction };
}

/** Draws a part of the worker's open file in full, unless it is too large. */
export async function drawDetail(client: Client, area: Box): Promise<Source['detail']> {
  if (areaOf(area) > DETAIL_MAX || areaOf(area) <= 0) return undefined;
  const { rows: height, columns: width } = sizeOf(area);
  return { image: await client.ask('draw', { area, width, height }), area };
}
