/** The worker, which does all that takes time. */

import { type Entry, digestOf, fetchModel, findModel, listModels } from './catalogue.ts';
import { type Beside, unpackChunks } from './chunks.ts';
import { type Container, Mode, gridSize, parse } from './container.ts';
import { Decoder, type Progress, checkModel } from './decoding.ts';
import { isOpaque, writeAlpha, writePng } from './deflate.ts';
import { Encoder } from './encoding.ts';
import { type Box, sizeOf } from './grid.ts';
import { Kernel } from './kernel.ts';
import type { Facts, Question, Questions, Request, Response } from './messages.ts';
import type { Model, Picture } from './model.ts';
import { readModel } from './models.ts';
import { Problem } from './problems.ts';

type Stage = (stage: string) => Progress;
type Answers = {
  [Kind in Question]: (content: Questions[Kind][0], stage: Stage) => Promise<Questions[Kind][1]>;
};

interface OpenFile {
  readonly container: Container;
  readonly decoder: Decoder;
  readonly beside: Beside;
}

let compiled: Promise<WebAssembly.Module> | undefined;
let model: Model | undefined;
let file: OpenFile | undefined;
let encoder: Encoder | undefined;

async function newKernel(): Promise<Kernel> {
  compiled ??= WebAssembly.compileStreaming(fetch('vqcodec.wasm'));
  return new Kernel(await compiled);
}

/** One model is kept, as each takes some hundred megabytes. */
async function loadModel(entry: Entry, stage: Stage): Promise<Model> {
  if (model?.sha256 !== entry.sha256) {
    model = undefined;
    const data = await fetchModel(entry, stage(`Fetching the model ${entry.name}`));
    model = readModel(await newKernel(), data, entry.sha256);
  }
  return model;
}

async function openFile(data: Uint8Array<ArrayBuffer>, stage: Stage): Promise<OpenFile> {
  const container = parse(data);
  const { header } = container;
  const beside = await unpackChunks(container);
  const isLiteral = header.mode === Mode.Literal;
  const loaded = isLiteral ? null : await loadModel(await findModel(header.model), stage);
  if (loaded) checkModel(header, loaded);
  const decoder = new Decoder(loaded?.kernel ?? (await newKernel()), container, loaded);
  return { container, decoder, beside };
}

function factsOf({ container, decoder }: OpenFile, bytes: number): Facts {
  const { header, chunks, tiles } = container;
  const modes = ['fixed', 'prior', 'literal', 'mixed'] as const;
  return {
    ...{ width: header.width, height: header.height, bytes },
    quality: header.mode === Mode.Literal ? 0 : header.quality / model!.qualityScale,
    ...gridSize(header),
    mode: modes[header.mode],
    model: header.mode === Mode.Literal ? null : { name: model!.name, hash: header.model },
    tiles: tiles.length,
    literalTiles: decoder.literalCount(),
    payload: tiles.reduce((sum, tile) => sum + tile.length, 0),
    chunks: Array.from(chunks, ([type, content]) => [type, content.length] as const),
  };
}

function opened(): OpenFile {
  if (!file) throw new Problem('Picture', 'no file is open');
  return file;
}

/** Draws an area with its alpha. */
function drawn(area: Box, stage: Stage): Picture {
  const { decoder, beside, container } = opened();
  const { rows: height, columns: width } = sizeOf(area);
  const pixels = decoder.draw(area, stage('Decoding'));
  if (beside.alpha)
    for (let y = 0, at = 3; y < height; y++)
      for (let x = 0; x < width; x++, at += 4)
        pixels[at] = beside.alpha[(area.top + y) * container.header.width + area.left + x];
  return { pixels, width, height };
}

const answers: Answers = {
  async open({ data }, stage) {
    file = undefined;
    file = await openFile(new Uint8Array(data), stage);
    return factsOf(file, data.byteLength);
  },

  async draw({ area, width, height }, stage) {
    const picture = drawn(area, stage);
    const { beside } = opened();
    // The browser knows what colour profiles mean, if they are in a file of a kind it knows.
    const source = beside.hasProfile
      ? new Blob([await writePng(picture, beside.png)], { type: 'image/png' })
      : new ImageData(picture.pixels, picture.width, picture.height);
    if (width === picture.width && height === picture.height) return createImageBitmap(source);
    const options = { resizeWidth: width, resizeHeight: height, resizeQuality: 'high' } as const;
    return createImageBitmap(source, options);
  },

  async png({ area }, stage) {
    const picture = drawn(area, stage);
    stage('Writing PNG')(1);
    return writePng(picture, opened().beside.png);
  },

  async verify() {
    const indices = opened().decoder.indices();
    return digestOf(new Uint8Array(indices.buffer as ArrayBuffer));
  },

  async models() {
    return listModels();
  },

  async measure({ picture, sha256 }, stage) {
    encoder = undefined;
    const loaded = await loadModel(await findModel(sha256), stage);
    const chunks = new Map<string, Uint8Array>();
    if (!isOpaque(picture)) chunks.set('ALPH', await writeAlpha(picture));
    encoder = new Encoder(loaded, picture, chunks, stage('Compressing'));
    return loaded.qualities;
  },

  async encode({ wish }, stage) {
    if (!encoder) throw new Problem('Picture', 'no picture is open');
    stage('Compressing')(1);
    return encoder.encode(wish);
  },
};

const post = (response: Response, transfer: Transferable[] = []): void =>
  (self as unknown as Worker).postMessage(response, transfer);

async function answer<Kind extends Question>({ id, kind, content }: Request<Kind>): Promise<void> {
  let last = 0;
  const stage = (name: string) => (progress: number) => {
    if (performance.now() - last < 50 && progress < 1) return;
    last = performance.now();
    post({ id, progress, stage: name });
  };
  try {
    const found: unknown = await answers[kind](content, stage);
    post({ id, answer: found }, found instanceof ImageBitmap ? [found] : []);
  } catch (error) {
    const { message } = error as Error;
    post({ id, problem: error instanceof Problem ? { kind: error.kind, message } : { message } });
  }
}

/** Questions are answered one after the other, in the order in which they come. */
let queue = Promise.resolve();
self.addEventListener('message', ({ data }: MessageEvent<Request>) => {
  queue = queue.then(() => answer(data));
});
