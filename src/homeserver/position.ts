/**
 * A place in the one order of everything that can be observed on this server. A reader that has
 * seen a position will never find a new row at a lower one.
 */
export type Position = number;

/** Milliseconds since the epoch, as in `origin_server_ts`. */
export type UnixMs = number;
