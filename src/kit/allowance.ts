/** What somebody may still have of something, where it turns out only later how much they have had. */
export type Allowance = {
  /** @throws MatrixError M_LIMIT_EXCEEDED with when to come again, if nothing is left. */
  readonly require: () => void;
  /** Counts what they have had, more than was left, too: then it takes as long until there is more. */
  readonly count: (much: number) => void;
};
