/** What files have beside their pixels, as far as the page uses it (format/SPEC.md, section 4). */

import type { Container } from './container.ts';
import { inflate, readAlpha } from './deflate.ts';
import { Problem } from './problems.ts';

/** zlib streams that the page hands on, or checks alone. */
const PACKED = ['exif', 'iccp', 'irb0', 'pngc', 'xmp0', 'xmpe'] as const;
const DENSITY_BYTES = 17;
const TIME_BYTES = 8;

export interface Beside {
  /** (height, width), or null: all pixels are opaque. */
  readonly alpha: Uint8Array | null;
  /** Chunks of a PNG file that say of its colours and origin what the .vqc file says. */
  readonly png: readonly (readonly [string, Uint8Array])[];
  /** Whether the pixels' colours are others than sRGB. */
  readonly hasProfile: boolean;
}

/** Unpacks what is beside the pixels. Throws a Problem if it is not what SPEC.md says. */
export async function unpackChunks({ header, chunks }: Container): Promise<Beside> {
  const unpacked = new Map<string, Uint8Array>();
  for (const type of PACKED) {
    const packed = chunks.get(type);
    if (packed) unpacked.set(type, await inflate(type, packed));
  }
  const cicp = chunks.get('cicp');
  if (cicp && (cicp.length !== 4 || cicp[2] !== 0 || cicp[3] !== 1))
    throw new Problem('Corrupt', 'chunk cicp is not that of full-range RGB');
  checkLength(chunks.get('time'), 'time', TIME_BYTES);
  const density = chunks.get('dens');
  checkLength(density, 'dens', DENSITY_BYTES);
  if (density && density[0] > 3) throw new Problem('Corrupt', 'chunk dens has an unknown unit');
  const alpha = chunks.get('ALPH');
  const png: [string, Uint8Array][] = [];
  const profile = chunks.get('iccp');
  if (cicp) png.push(['cICP', cicp]);
  if (profile) png.push(['iCCP', iccChunk(profile)]);
  const exif = unpacked.get('exif');
  if (exif) png.push(['eXIf', exif]);
  return {
    alpha: alpha ? await readAlpha(alpha, header.width, header.height) : null,
    png,
    hasProfile: Boolean(cicp ?? profile),
  };
}

function checkLength(chunk: Uint8Array | undefined, type: string, length: number): void {
  if (chunk && chunk.length !== length)
    throw new Problem('Corrupt', `chunk ${type} has ${chunk.length} bytes, not ${length}`);
}

/** A PNG file's chunk: a name, how it is packed, and the zlib stream. */
function iccChunk(packed: Uint8Array): Uint8Array {
  const name = [...'ICC profile'].map((letter) => letter.charCodeAt(0));
  const chunk = new Uint8Array(name.length + 2 + packed.length);
  chunk.set(name);
  chunk.set(packed, name.length + 2);
  return chunk;
}
