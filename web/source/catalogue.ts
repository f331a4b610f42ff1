/** The models that the page's origin offers: fetched once, checked by SHA-256, and kept. */

import { hexadecimal } from './container.ts';
import { Problem } from './problems.ts';
import { partsOf } from './streams.ts';

const CACHE = 'vqcodec-models-1';
const BYTES_MAX = 2 ** 29;

/** An entry of models.json; `file` is relative to it. The default comes first. */
export interface Entry {
  readonly name: string;
  readonly sha256: string;
  readonly file: string;
  readonly size: number;
  readonly description: string;
}

let entries: Promise<readonly Entry[]> | undefined;

/** Lists the models. Throws a Problem if the list cannot be had. */
export function listModels(): Promise<readonly Entry[]> {
  entries ??= fetched('models.json').then((response) => response.json());
  entries.catch(() => (entries = undefined));
  return entries;
}

/** Finds the model whose SHA-256 begins with these digits. */
export async function findModel(prefix: string): Promise<Entry> {
  const found = (await listModels()).find(({ sha256 }) => sha256.startsWith(prefix));
  if (!found) throw new Problem('Model', `the file's model, ${prefix}, is not here`);
  return found;
}

/** Returns a model's file, from the browser's cache or over the network. */
export async function fetchModel(
  entry: Entry,
  progress: (done: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const cache = await openCache();
  const key = `model-${entry.sha256}`;
  const kept = await cache?.match(key);
  if (kept) {
    const data = new Uint8Array(await kept.arrayBuffer());
    if ((await digestOf(data)) === entry.sha256) return data;
    await cache?.delete(key);
  }
  const data = await download(entry, progress);
  if ((await digestOf(data)) !== entry.sha256)
    throw new Problem('Model', `the model ${entry.name} is not the one that its SHA-256 names`);
  // A browser without room for it fetches it again next time.
  await cache?.put(key, new Response(data)).catch(() => {});
  return data;
}

/** Private windows of some browsers have no cache. */
const openCache = (): Promise<Cache | undefined> =>
  globalThis.caches ? caches.open(CACHE).catch(() => undefined) : Promise.resolve(undefined);

export async function digestOf(data: Uint8Array<ArrayBuffer>): Promise<string> {
  return hexadecimal(new Uint8Array(await crypto.subtle.digest('SHA-256', data)));
}

async function download(
  { file, size }: Entry,
  progress: (done: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  if (size > BYTES_MAX) throw new Problem('Model', `a model of ${size} bytes is too large`);
  const { body } = await fetched(file);
  const data = new Uint8Array(size);
  let at = 0;
  for await (const part of partsOf(body!)) {
    if (at + part.length > size)
      throw new Problem('Model', 'the model is larger than it should be');
    data.set(part, at);
    at += part.length;
    progress(at / size);
  }
  return data;
}

async function fetched(path: string): Promise<globalThis.Response> {
  const response = await fetch(path).catch(() => undefined);
  if (!response?.ok) throw new Problem('Model', `${path} cannot be fetched`);
  return response;
}
