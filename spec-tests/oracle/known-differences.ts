import type { Attempt, RandomRoom } from "./random-room.ts";

/**
 * Something that Synapse does otherwise, though the specification is clear. The tests leave out what
 * `applies` says, and fail if it no longer occurs.
 */
export type KnownDifference<Case> = {
  readonly what: string;
  /** Where the specification says so. */
  readonly spec: string;
  readonly applies: (judged: Case) => boolean;
};

/** A verdict that differs. */
export type JudgedAttempt = {
  readonly room: RandomRoom;
  readonly attempt: Attempt;
  readonly by: "byAuthEvents" | "byState";
  readonly ours: boolean;
  /** The exception, if they refuse. */
  readonly theirs: string | undefined;
};

export const VERDICT_DIFFERENCES: readonly KnownDifference<JudgedAttempt>[] = [];

export type JudgedResolution = {
  readonly room: RandomRoom;
  readonly sets: readonly (readonly number[])[];
  readonly theirs: string | undefined;
};

export const RESOLUTION_DIFFERENCES: readonly KnownDifference<JudgedResolution>[] = [];

/** Counts, for each known difference, what it explains; gives back what none does. */
export function sortOut<Case>(
  differing: readonly Case[],
  known: readonly KnownDifference<Case>[],
): { unexplained: Case[]; counts: Map<string, number> } {
  const counts = new Map(known.map(({ what }) => [what, 0]));
  const unexplained = differing.filter((judged) => {
    const reason = known.find(({ applies }) => applies(judged));
    if (reason) counts.set(reason.what, (counts.get(reason.what) ?? 0) + 1);
    return !reason;
  });
  return { unexplained, counts };
}
