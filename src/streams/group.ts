import type { Position } from "#src/homeserver/position.ts";
import type { Outcome, Placed, Stream } from "./stream.ts";

/** A write that waits, and who waits for it. */
export type Pending = {
  readonly stream: Stream<unknown, unknown>;
  readonly write: unknown;
  /** The same for all that are committed together or not at all (see `writeTogether`). */
  readonly unit?: object | undefined;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
};

/** Writes that are to be committed together. */
export type Group = {
  readonly byStream: readonly {
    readonly stream: Stream<unknown, unknown>;
    readonly its: readonly Pending[];
    readonly writes: readonly unknown[];
    /** How many positions each needs. */
    readonly needed: readonly number[];
  }[];
  /** How many positions all need. */
  readonly total: number;
};

/** The writes of one stream, with their positions. */
export type Part = {
  readonly stream: Stream<unknown, unknown>;
  readonly its: readonly Pending[];
  readonly placed: readonly Placed<unknown>[];
};

/** A group that is durable. */
export type Committed = {
  readonly parts: readonly Part[];
  readonly outcomes: readonly (readonly Outcome<unknown>[])[];
  /** The positions that it was given are after `before`, up to and including `upTo`. */
  readonly before: Position;
  readonly upTo: Position;
};

/**
 * Where writes are cut in two, so that none is parted from those that it belongs with.
 *
 * @param at where they would best be cut.
 * @returns the number of the first part: `at`, or as little less as has to be, or else more; that of all if they can not be cut.
 */
export function cutNear(pending: readonly Pending[], at: number): number {
  if (at >= pending.length) return pending.length;
  const isCut = (place: number) => {
    const unit = pending[place]?.unit;
    return unit === undefined || unit !== pending[place - 1]?.unit;
  };
  let cut = at;
  while (cut > 0 && !isCut(cut)) cut--;
  if (cut > 0) return cut;
  for (cut = at; cut < pending.length && !isCut(cut);) cut++;
  return cut;
}

export function groupOf(pending: readonly Pending[]): Group {
  const byStream = [...Map.groupBy(pending, (it) => it.stream)].map(([stream, its]) => {
    const writes = its.map((it) => it.write);
    return { stream, its, writes, needed: writes.map((it) => stream.positionsFor?.(it) ?? 1) };
  });
  const total = byStream.flatMap((it) => it.needed).reduce((sum, n) => sum + n, 0);
  return { byStream, total };
}

/** Gives writes their positions, the first of them the one after `before`. */
export function placeGroup({ byStream }: Group, before: Position): Part[] {
  let next = before + 1;
  return byStream.map(({ stream, its, needed }) => {
    const placed = its.map((it, at) => {
      const position = next;
      next += needed[at] ?? 1;
      return { write: it.write, position };
    });
    return { stream, its, placed };
  });
}
