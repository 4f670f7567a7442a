import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";

/** Something that happened, as those who follow the streams hear of it. */
export type Change = {
  readonly position: Position;
  /** The name of the stream that it is of. */
  readonly stream: string;
  /** The room that it concerns, if one. */
  readonly roomKey?: number;
  /** The user that it concerns, if one. */
  readonly userKey?: number;
  /** The device that it concerns, if one. */
  readonly deviceKey?: number;
  /** What else a follower can use without asking the database; the stream says of what type. */
  readonly detail?: unknown;
  /** How many characters of text there are in that, if many. */
  readonly characters?: number;
};

/** What became of one write. A refusal concerns that write alone; the rest of its group is kept. */
export type Outcome<R> =
  | { readonly ok: true; readonly result: R; readonly changes: readonly Change[] }
  | { readonly ok: false; readonly error: Error };

/** A write, and the first of the positions it has been given. */
export type Placed<W> = { readonly write: W; readonly position: Position };

/**
 * A kind of thing that happens here and can be observed: events, receipts, account data, …
 *
 * Its writes are grouped: `store` gets all that have queued up, in the one transaction that commits
 * them, while it holds the lane, so that no other process writes to any stream meanwhile. It must be
 * quick: a few set-based statements on `lane`. They go out when they are made, in that order; what `store`
 * does not wait for is waited for with the commit, and spares a round trip.
 */
export type Stream<W, R> = {
  readonly name: string;
  /** How long a write may wait for others to be committed with, in milliseconds; 0 if this is left out. */
  readonly patienceMs?: number;
  /** How many positions a write needs; 1 if this is left out. */
  readonly positionsFor?: (write: W) => number;
  /** Does what can be done before the lane is taken. May be called again for a write that has to be repeated. */
  readonly prepare?: (hs: Homeserver, writes: readonly W[]) => Promise<void> | void;
  /** Reads that `store` needs and that only the lane makes true. Sent along with the taking of it. */
  readonly look?: (hs: Homeserver, lane: Tx, writes: readonly W[]) => Promise<unknown>;
  /**
   * What `look` would find, out of memory: for a group that one statement can store, because `store` asks the database
   * nothing then and writes each table by one statement that begins with no `with`. What of it may be untrue by now must
   * make those statements fail. Undefined if it cannot be.
   */
  readonly recall?: (hs: Homeserver, writes: readonly W[]) => unknown;
  /** Stores the group. The outcomes are in the order of the writes. */
  readonly store: (
    hs: Homeserver,
    lane: Tx,
    writes: readonly Placed<W>[],
    looked: unknown,
  ) => Promise<readonly Outcome<R>[]>;
  /** Called when the group is durable, before the writers hear of it. */
  readonly committed?: (hs: Homeserver, writes: readonly Placed<W>[]) => void;
  /** Called when the group was not stored, or nobody knows whether it was: forget what was assumed. */
  readonly failed?: (hs: Homeserver, writes: readonly W[]) => void;
  /** What happened after one position, up to and including another, in whatever process. */
  readonly changesBetween: (
    sql: Queryable,
    after: Position,
    upTo: Position,
  ) => Promise<readonly Change[]>;
};
