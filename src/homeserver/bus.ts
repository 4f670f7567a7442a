import type { Position } from "./position.ts";

/**
 * Says that the streams have moved, and to where; never what is in them. A reader asks the database,
 * from the position it last read. So a lost message costs a moment's delay and no data, and a bus
 * can be anything: PostgreSQL's `NOTIFY` for a few processes, NATS for many.
 */
export type Bus = {
  /** Calls the listener when some process has committed up to a position. */
  onAdvance(listener: (position: Position) => void): void;
  close(): Promise<void>;
};
