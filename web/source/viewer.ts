/** Shows a picture, or two that meet at a divider, which can be moved and made larger. */

import { type Box, common, whole } from './grid.ts';

/** A picture, perhaps reduced, and a part of it in full. */
export interface Source {
  readonly image: CanvasImageSource;
  readonly detail?: { readonly image: CanvasImageSource; readonly area: Box } | undefined;
}

const SCALE_MAX = 32;
/** Pixels on the screen of one of the picture from which on they are shown as squares. */
const SQUARES = 2;
const STEP = 1.25;
const MOVE = 60;

export class Viewer {
  private sources: readonly [Source | null, Source | null] = [null, null];
  private width = 1;
  private height = 1;
  /** CSS pixels of one of the picture's. */
  private scale = 1;
  private centre = { x: 0, y: 0 };
  private isFitted = true;
  private dividerPlace = 0.5;
  private drawing = 0;
  private readonly pointers = new Map<number, { x: number; y: number }>();

  /** `changed` is told when another part is seen. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly changed: () => void,
  ) {
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    canvas.addEventListener('keydown', (event) => this.key(event));
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this.placeOf(event));
    });
    canvas.addEventListener('pointermove', (event) => this.drag(event));
    for (const name of ['pointerup', 'pointercancel'] as const)
      canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
  }

  /** Begins to show a picture of a size, as large as fits. */
  begin(width: number, height: number): void {
    [this.width, this.height] = [width, height];
    this.sources = [null, null];
    this.fit();
  }

  /** Shows a picture on the left, and another on the right of the divider, if there is one. */
  show(left: Source | null, right: Source | null): void {
    this.sources = [left, right];
    this.redraw();
  }

  /** Where the pictures meet, 0 to 1. */
  set divider(place: number) {
    this.dividerPlace = place;
    this.redraw();
  }

  /** Pixels on the screen of one of the picture's. */
  get zoom(): number {
    return this.scale * devicePixelRatio;
  }

  get whole(): Box {
    return whole({ rows: this.height, columns: this.width });
  }

  /** The part of the picture that is seen. */
  get area(): Box {
    const { clientWidth, clientHeight } = this.canvas;
    const [x, y] = [clientWidth / 2 / this.scale, clientHeight / 2 / this.scale];
    return common(this.whole, {
      top: Math.floor(this.centre.y - y),
      bottom: Math.ceil(this.centre.y + y),
      left: Math.floor(this.centre.x - x),
      right: Math.ceil(this.centre.x + x),
    });
  }

  fit(): void {
    const { clientWidth, clientHeight } = this.canvas;
    const scale = Math.min(clientWidth / this.width, clientHeight / this.height);
    // Small pictures are not blown up.
    this.scale = Math.min(scale, 1) || 1;
    this.centre = { x: this.width / 2, y: this.height / 2 };
    this.isFitted = true;
    this.moved();
  }

  actual(): void {
    this.zoomTo(1 / devicePixelRatio);
  }

  larger(): void {
    this.zoomTo(this.scale * STEP);
  }

  smaller(): void {
    this.zoomTo(this.scale / STEP);
  }

  redraw(): void {
    cancelAnimationFrame(this.drawing);
    this.drawing = requestAnimationFrame(() => this.draw());
  }

  /** Zooms such that what is at a place of the canvas, its middle by default, stays there. */
  private zoomTo(scale: number, at?: { x: number; y: number }): void {
    const { clientWidth, clientHeight } = this.canvas;
    const least = Math.min(1, clientWidth / this.width, clientHeight / this.height) / 2;
    const bounded = Math.min(SCALE_MAX, Math.max(least, scale));
    const x = at ? at.x - clientWidth / 2 : 0;
    const y = at ? at.y - clientHeight / 2 : 0;
    this.centre.x += x / this.scale - x / bounded;
    this.centre.y += y / this.scale - y / bounded;
    this.scale = bounded;
    this.isFitted = false;
    this.moved();
  }

  private move(x: number, y: number): void {
    this.centre.x -= x / this.scale;
    this.centre.y -= y / this.scale;
    this.isFitted = false;
    this.moved();
  }

  private moved(): void {
    this.centre.x = Math.min(this.width, Math.max(0, this.centre.x));
    this.centre.y = Math.min(this.height, Math.max(0, this.centre.y));
    this.redraw();
    this.changed();
  }

  private placeOf(event: MouseEvent): { x: number; y: number } {
    const { left, top } = this.canvas.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.zoomTo(this.scale * 2 ** ((-event.deltaY * lines) / 300), this.placeOf(event));
  }

  /** One pointer moves the picture, two also change its size. */
  private drag(event: PointerEvent): void {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.placeOf(event);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (!other) {
      this.move(now.x - before.x, now.y - before.y);
      return;
    }
    const distance = (from: { x: number; y: number }) =>
      Math.hypot(from.x - other.x, from.y - other.y);
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    this.zoomTo((this.scale * distance(now)) / Math.max(1, distance(before)), middle);
    this.move((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions: Record<string, () => void> = {
      ArrowLeft: () => this.move(MOVE, 0),
      ArrowRight: () => this.move(-MOVE, 0),
      ArrowUp: () => this.move(0, MOVE),
      ArrowDown: () => this.move(0, -MOVE),
      '+': () => this.larger(),
      '=': () => this.larger(),
      '-': () => this.smaller(),
      '0': () => this.fit(),
      '1': () => this.actual(),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  private resize(): void {
    const { canvas } = this;
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    if (this.isFitted) this.fit();
    else this.moved();
  }

  private draw(): void {
    const { canvas, scale, centre } = this;
    const context = canvas.getContext('2d')!;
    const ratio = devicePixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const zoom = scale * ratio;
    // A picture that is not blown up lies on whole pixels.
    const left = Math.round(canvas.width / 2 - centre.x * zoom);
    const top = Math.round(canvas.height / 2 - centre.y * zoom);
    const place = { left, top, zoom };
    context.imageSmoothingEnabled = zoom < SQUARES;
    context.imageSmoothingQuality = 'high';
    const [first, second] = this.sources;
    if (!second) {
      this.paint(context, first, place);
      return;
    }
    const [start, stop] = [Math.max(0, left), Math.min(canvas.width, left + this.width * zoom)];
    const meeting = Math.round(start + (stop - start) * this.dividerPlace);
    this.paint(context, first, place, [0, meeting]);
    this.paint(context, second, place, [meeting, canvas.width]);
    context.fillStyle = '#fff';
    context.fillRect(meeting - ratio, 0, 2 * ratio, canvas.height);
    context.fillStyle = '#0008';
    context.fillRect(meeting + ratio, 0, ratio, canvas.height);
  }

  private paint(
    context: CanvasRenderingContext2D,
    source: Source | null,
    { left, top, zoom }: { left: number; top: number; zoom: number },
    [start, stop]: readonly [number, number] = [0, this.canvas.width],
  ): void {
    if (!source) return;
    context.save();
    context.beginPath();
    context.rect(start, 0, stop - start, this.canvas.height);
    context.clip();
    context.drawImage(source.image, left, top, this.width * zoom, this.height * zoom);
    if (source.detail) {
      const { image, area } = source.detail;
      const [width, height] = [area.right - area.left, area.bottom - area.top];
      const [x, y] = [left + area.left * zoom, top + area.top * zoom];
      context.drawImage(image, x, y, width * zoom, height * zoom);
    }
    context.restore();
  }
}
