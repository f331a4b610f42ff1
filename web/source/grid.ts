/** Boxes and tiles of a grid of rows and columns (format/SPEC.md, section 5). */

/** Rows `top` to `bottom` - 1 and columns `left` to `right` - 1. */
export interface Box {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

export interface Size {
  readonly rows: number;
  readonly columns: number;
}

export const whole = ({ rows, columns }: Size): Box => ({
  top: 0,
  bottom: rows,
  left: 0,
  right: columns,
});

export const sizeOf = (box: Box): Size => ({
  rows: box.bottom - box.top,
  columns: box.right - box.left,
});

export const areaOf = (box: Box): number => (box.bottom - box.top) * (box.right - box.left);

/** What two boxes have in common; without rows or columns, or less, if they do not meet. */
export const common = (one: Box, other: Box): Box => ({
  top: Math.max(one.top, other.top),
  bottom: Math.min(one.bottom, other.bottom),
  left: Math.max(one.left, other.left),
  right: Math.min(one.right, other.right),
});

export const meet = (one: Box, other: Box): boolean =>
  one.top < other.bottom &&
  other.top < one.bottom &&
  one.left < other.right &&
  other.left < one.right;

/** `inner` as counted from where `outer` starts. */
export const within = (outer: Box, inner: Box): Box => ({
  top: inner.top - outer.top,
  bottom: inner.bottom - outer.top,
  left: inner.left - outer.left,
  right: inner.right - outer.left,
});

export const widened = (box: Box, margin: number): Box => ({
  top: box.top - margin,
  bottom: box.bottom + margin,
  left: box.left - margin,
  right: box.right + margin,
});

/** The elements that positions stand for, `stride` of them along each axis. */
export const scaled = (box: Box, stride: number): Box => ({
  top: box.top * stride,
  bottom: box.bottom * stride,
  left: box.left * stride,
  right: box.right * stride,
});

/** The positions that stand for elements, `stride` of them along each axis. */
export const covering = (box: Box, stride: number): Box => ({
  top: Math.floor(box.top / stride),
  bottom: Math.ceil(box.bottom / stride),
  left: Math.floor(box.left / stride),
  right: Math.ceil(box.right / stride),
});

/** Boxes of `side` positions along each axis, less at the end, that cover an area. */
export function* windows(area: Box, side: number): Generator<Box> {
  for (let top = area.top; top < area.bottom; top += side)
    for (let left = area.left; left < area.right; left += side)
      yield {
        top,
        bottom: Math.min(top + side, area.bottom),
        left,
        right: Math.min(left + side, area.right),
      };
}

/** A grid cut into tiles, each at most `side` positions long along each axis. */
export class Tiling {
  readonly down: number;
  readonly across: number;

  constructor(
    private readonly size: Size,
    side: number,
  ) {
    this.down = Math.ceil(size.rows / side);
    this.across = Math.ceil(size.columns / side);
  }

  get count(): number {
    return this.down * this.across;
  }

  box(tile: number): Box {
    const band = Math.floor(tile / this.across);
    const column = tile % this.across;
    return {
      top: edge(this.size.rows, this.down, band),
      bottom: edge(this.size.rows, this.down, band + 1),
      left: edge(this.size.columns, this.across, column),
      right: edge(this.size.columns, this.across, column + 1),
    };
  }

  /** The tile of a position. */
  at(row: number, column: number): number {
    const band = part(this.size.rows, this.down, row);
    return band * this.across + part(this.size.columns, this.across, column);
  }

  /** The tiles that share a position with a box, which may leave the grid. */
  touching(box: Box): number[] {
    const { top, bottom, left, right } = common(box, whole(this.size));
    if (top >= bottom || left >= right) return [];
    const first = this.at(top, left);
    const last = this.at(bottom - 1, right - 1);
    const width = (last % this.across) - (first % this.across) + 1;
    const tiles: number[] = [];
    for (let start = first; start <= last; start += this.across)
      for (let tile = start; tile < start + width; tile++) tiles.push(tile);
    return tiles;
  }

  /** The tiles above, below, to the left and to the right, undefined where there is none. */
  beside(tile: number): (number | undefined)[] {
    const column = tile % this.across;
    return [
      tile >= this.across ? tile - this.across : undefined,
      tile + this.across < this.count ? tile + this.across : undefined,
      column ? tile - 1 : undefined,
      column + 1 < this.across ? tile + 1 : undefined,
    ];
  }
}

const edge = (length: number, parts: number, number: number): number =>
  Math.floor((number * length) / parts);

/** Which of the parts between edges a place is in. */
function part(length: number, parts: number, place: number): number {
  let number = Math.floor((place * parts) / length);
  while (edge(length, parts, number + 1) <= place) number++;
  return number;
}
