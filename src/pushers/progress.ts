import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { OwedEvent } from "./queries-owed.ts";

/** What may concern the user of a pusher. */
export type Owed = {
  /** In order. */
  readonly owed: readonly OwedEvent[];
  /** Up to where that is all. */
  readonly reached: Position;
};

/** How far somebody has been told: moved on as they are, so that it is true also after a failure. */
export type Progress = {
  upTo: Position;
  /** How much is unread by what they were told last. */
  unread: number | null;
  mailedMs: UnixMs;
  mailGapMs: number;
};
