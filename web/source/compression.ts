/** Compressing a picture: wishes, what comes of them, and what other formats make of as many
 * bytes.
 */

import type { Client } from './client.ts';
import { element, listen, save } from './document.ts';
import type { Wish } from './encoding.ts';
import { grouped, rounded } from './facts.ts';
import type { Facts } from './messages.ts';
import { psnr, rivalsOf } from './rivals.ts';
import { draw } from './showing.ts';
import type { Source, Viewer } from './viewer.ts';

const ORIGINAL = 'Original';
const OURS = 'vqcodec';
/** Most pixels of pictures that are compared by their PSNR. */
const COMPARED_MAX = 2 ** 23;
const STEP = 0.25;
/** Milliseconds that a slider has to rest. */
const REST = 150;

interface Hooks {
  attempt(action: () => Promise<void>): Promise<void>;
  showFacts(facts: Facts): void;
}

interface Compared {
  readonly name: string;
  readonly image: CanvasImageSource;
  readonly bytes?: number;
}

export class Compression {
  private original: OffscreenCanvas | undefined;
  private stem = '';
  private qualities = 0;
  private data: Uint8Array<ArrayBuffer> | undefined;
  private compared: readonly Compared[] = [];
  private timer = 0;
  /** The attempt that is under way, which a later one replaces. */
  private number = 0;

  constructor(
    private readonly client: Client,
    private readonly viewer: Viewer,
    private readonly hooks: Hooks,
  ) {
    listen('model', 'change', () => void hooks.attempt(() => this.measure()));
    listen('quality', 'input', () => {
      element('size', HTMLInputElement).value = '';
      this.showQuality();
      this.compressSoon();
    });
    listen('size', 'change', () => this.compressSoon());
    listen('left', 'change', () => this.showSides());
    listen('right', 'change', () => this.showSides());
    listen('save-vqc', 'click', () => {
      if (this.data) save(this.data, `${this.stem}.vqc`, 'application/octet-stream');
    });
  }

  /** Takes a picture, and compresses it at the model's usual quality. */
  async begin(image: ImageBitmap, stem: string): Promise<void> {
    this.stem = stem;
    this.original = new OffscreenCanvas(image.width, image.height);
    this.original.getContext('2d', { willReadFrequently: true })!.drawImage(image, 0, 0);
    image.close();
    this.compared = [{ name: ORIGINAL, image: this.original }];
    element('wishes').hidden = false;
    this.viewer.show({ image: this.original }, null);
    await this.listModels();
    await this.measure();
  }

  /** Forgets the picture. */
  end(): void {
    clearTimeout(this.timer);
    this.number++;
    this.original = this.data = undefined;
    this.compared = [];
    element('save-vqc', HTMLButtonElement).disabled = true;
    element('sizes').querySelector('tbody')!.replaceChildren();
  }

  private async listModels(): Promise<void> {
    const select = element('model', HTMLSelectElement);
    if (select.options.length) return;
    const models = await this.client.ask('models', {});
    for (const { name, sha256, description } of models) {
      const option = new Option(name, sha256);
      option.title = description;
      select.add(option);
    }
  }

  private async measure(): Promise<void> {
    const { original } = this;
    if (!original) return;
    const own = ++this.number;
    const { width, height } = original;
    const pixels = original.getContext('2d')!.getImageData(0, 0, width, height).data;
    const sha256 = element('model', HTMLSelectElement).value;
    const picture = { pixels: pixels as Uint8ClampedArray<ArrayBuffer>, width, height };
    const qualities = await this.client.ask('measure', { picture, sha256 }, [
      picture.pixels.buffer,
    ]);
    if (own !== this.number) return;
    this.setQualities(qualities);
    await this.compress();
  }

  private setQualities(qualities: number): void {
    const quality = element('quality', HTMLInputElement);
    element('quality-row').hidden = element('size-row').hidden = !qualities;
    if (qualities === this.qualities) return;
    this.qualities = qualities;
    if (!qualities) return;
    quality.max = String(qualities);
    quality.step = String(STEP);
    // As `usual` of vqcodec/codec/search.py.
    quality.value = String(Math.max(1, Math.floor(1.25 * qualities + 0.5) / 2));
    this.showQuality();
  }

  private showQuality(): void {
    element('quality-shown').textContent = element('quality', HTMLInputElement).value;
  }

  private compressSoon(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.hooks.attempt(() => this.compress()), REST);
  }

  private wish(): Wish {
    if (!this.qualities) return { quality: 0 };
    const kilobytes = Number.parseFloat(element('size', HTMLInputElement).value);
    if (kilobytes > 0) return { bytes: Math.floor(kilobytes * 1000) };
    return { quality: Number(element('quality', HTMLInputElement).value) };
  }

  private async compress(): Promise<void> {
    const { original } = this;
    if (!original) return;
    const own = ++this.number;
    const isOver = () => own !== this.number;
    const { data, quality } = await this.client.ask('encode', { wish: this.wish() });
    if (isOver()) return;
    const copy = data.slice().buffer;
    const facts = await this.client.ask('open', { data: copy }, [copy]);
    const { image } = await draw(this.client, original, () => {});
    if (isOver()) return;
    this.data = data;
    this.hooks.showFacts(facts);
    if (quality) {
      element('quality', HTMLInputElement).value = String(quality);
      element('quality-shown').textContent = rounded(quality);
    }
    element('save-vqc', HTMLButtonElement).disabled = false;
    this.compared = [
      { name: ORIGINAL, image: original },
      { name: OURS, image, bytes: data.length },
    ];
    this.showAll();
    const rivals = await rivalsOf(original, data.length);
    if (isOver()) return;
    this.compared = [...this.compared, ...rivals];
    this.showAll();
  }

  private showAll(): void {
    this.fill('left', ORIGINAL);
    this.fill('right', OURS);
    element('sides').hidden = false;
    this.showSides();
    const rows = this.compared.filter(({ bytes }) => bytes !== undefined);
    const table = element('sizes').querySelector('tbody')!;
    table.replaceChildren(
      ...rows.map((compared) => {
        const row = document.createElement('tr');
        const fidelity = this.fidelityOf(compared.image);
        const shown =
          fidelity === null ? '–' : fidelity === Infinity ? 'exact' : fidelity.toFixed(2);
        for (const text of [compared.name, grouped(compared.bytes!), shown])
          row.insertCell().textContent = text;
        return row;
      }),
    );
  }

  /** Offers all pictures on one side, the one that was chosen before if it is among them. */
  private fill(side: 'left' | 'right', otherwise: string): void {
    const select = element(side, HTMLSelectElement);
    const before = select.value;
    select.replaceChildren(...this.compared.map(({ name }) => new Option(name)));
    const isThere = this.compared.some(({ name }) => name === before);
    select.value = isThere ? before : otherwise;
  }

  private showSides(): void {
    const [left, right] = (['left', 'right'] as const).map((side): Source | null => {
      const { value } = element(side, HTMLSelectElement);
      const found = this.compared.find(({ name }) => name === value);
      return found ? { image: found.image } : null;
    });
    this.viewer.show(left, right);
  }

  private fidelityOf(image: CanvasImageSource): number | null {
    const { width, height } = this.original!;
    if (width * height > COMPARED_MAX) return null;
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d', { willReadFrequently: true })!;
    context.drawImage(image, 0, 0, width, height);
    const original = this.original!.getContext('2d')!.getImageData(0, 0, width, height);
    return psnr(original, context.getImageData(0, 0, width, height));
  }
}
