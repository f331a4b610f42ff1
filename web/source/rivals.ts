/** Pictures as the browser's own JPEG and WebP encoders make them, for comparison. */

export interface Rival {
  readonly name: string;
  readonly bytes: number;
  readonly image: ImageBitmap;
}

const FORMATS = [
  ['JPEG', 'image/jpeg'],
  ['WebP', 'image/webp'],
] as const;

/** Returns the best of each format with at most so many bytes, or its smallest. A browser that
 * does not write a format leaves it out.
 */
export async function rivalsOf(picture: OffscreenCanvas, bytes: number): Promise<Rival[]> {
  const rivals: Rival[] = [];
  for (const [name, type] of FORMATS) {
    const blob = await bestOf(picture, type, bytes);
    if (blob) rivals.push({ name, bytes: blob.size, image: await createImageBitmap(blob) });
  }
  return rivals;
}

async function bestOf(
  picture: OffscreenCanvas,
  type: string,
  bytes: number,
): Promise<Blob | undefined> {
  const attempt = (quality: number) => picture.convertToBlob({ type, quality: quality / 100 });
  let best = await attempt(0);
  if (best.type !== type) return undefined;
  let [fitting, failing] = [0, 101];
  while (failing - fitting > 1) {
    const middle = (fitting + failing) >> 1;
    const blob = await attempt(middle);
    if (blob.size <= bytes) [best, fitting] = [blob, middle];
    else failing = middle;
  }
  return best;
}

/** Returns the peak signal-to-noise ratio of two pictures' colours, dB. */
export function psnr(one: ImageData, other: ImageData): number {
  let sum = 0;
  for (let at = 0; at < one.data.length; at += 4)
    for (let colour = 0; colour < 3; colour++)
      sum += (one.data[at + colour] - other.data[at + colour]) ** 2;
  const mean = sum / ((one.data.length / 4) * 3);
  return 10 * Math.log10(255 ** 2 / mean);
}
