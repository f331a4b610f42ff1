/** What the page asks of its worker, and what it is told. */

import type { Box } from './grid.ts';
import type { Picture } from './model.ts';
import type { ProblemKind } from './problems.ts';
import type { Wish } from './encoding.ts';

/** Facts about a file, for people. */
export interface Facts {
  readonly width: number;
  readonly height: number;
  readonly bytes: number;
  readonly mode: 'fixed' | 'prior' | 'literal' | 'mixed';
  /** 1 to the model's highest; 0 if it has none. */
  readonly quality: number;
  /** Name and the first 8 bytes of the SHA-256, hexadecimal; null: it has no model. */
  readonly model: { readonly name: string; readonly hash: string } | null;
  readonly rows: number;
  readonly columns: number;
  readonly tiles: number;
  readonly literalTiles: number;
  readonly payload: number;
  /** Types and sizes of chunks. */
  readonly chunks: readonly (readonly [string, number])[];
}

/** Facts about a model that pictures can be compressed with. */
export interface ModelChoice {
  readonly name: string;
  readonly sha256: string;
  readonly description: string;
}

/** Questions by name: what comes with them, and what the answer is. */
export interface Questions {
  /** Reads and checks a file, and loads its model. */
  open: [{ data: ArrayBuffer }, Facts];
  /** Draws an area of the open file, reduced to a size. */
  draw: [{ area: Box; width: number; height: number }, ImageBitmap];
  /** Writes an area of the open file as a PNG file. */
  png: [{ area: Box }, Uint8Array<ArrayBuffer>];
  /** Decodes all indices of the open file, and returns their SHA-256. */
  verify: [Record<string, never>, string];
  /** Lists the models, the default first. */
  models: [Record<string, never>, readonly ModelChoice[]];
  /** Measures a picture; returns how many qualities the model has. */
  measure: [{ picture: Picture; sha256: string }, number];
  /** Compresses the picture that was measured last. */
  encode: [{ wish: Wish }, { data: Uint8Array<ArrayBuffer>; quality: number }];
}

export type Question = keyof Questions;

export interface Request<Kind extends Question = Question> {
  readonly id: number;
  readonly kind: Kind;
  readonly content: Questions[Kind][0];
}

export type Response =
  | { readonly id: number; readonly progress: number; readonly stage: string }
  | { readonly id: number; readonly answer: unknown }
  | {
      readonly id: number;
      /** `kind` is missing if something went wrong that nobody thought of. */
      readonly problem: { readonly kind?: ProblemKind; readonly message: string };
    };
