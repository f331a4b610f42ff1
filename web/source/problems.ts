/** What can be wrong with a file, a model or a wish; each is shown to people as one line. */

/** The classes of error of format/SPEC.md, section 1, and what else can be wrong. */
export type ProblemKind =
  | 'NotVqc'
  | 'Version'
  | 'Truncated'
  | 'Corrupt'
  | 'Checksum'
  | 'Limit'
  | 'Model'
  | 'Picture'
  | 'Memory';

export class Problem extends Error {
  constructor(
    readonly kind: ProblemKind,
    message: string,
  ) {
    super(message);
  }
}
