import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";

/**
 * Something that happens because the streams moved: sending over federation, pushing, telling an
 * appservice. Each follower keeps its own place in the streams, in the same transaction as what it
 * does, so it misses nothing and does nothing twice, whatever process it runs in.
 */
export type Follower = {
  /** Names the follower's place in `stream_followers`. Never change it. */
  readonly name: string;
  /** The streams whose changes it looks at. All of them if left out. */
  readonly streams?: readonly string[];
  /** Where it begins when the program first has it: with all that ever happened, or with what happens next. */
  readonly begins: "at the beginning" | "now";
  /**
   * How long it waits between two transactions, in milliseconds, if longer than most: one that nobody waits for
   * handles a second's changes at a time.
   */
  readonly pauseMs?: number;
  /**
   * Handles what came after one position, up to and including another, or as much of it as is good
   * for one transaction, and says how far it got.
   *
   * It works in the transaction and nowhere else: what it did elsewhere would be done again after a
   * failure, and a second connection must not be waited for while this one is held. What has to
   * leave the house, such as a request, it writes down in the transaction, for somebody to send.
   */
  readonly handle: (hs: Homeserver, tx: Tx, after: Position, upTo: Position) => Promise<Position>;
};
