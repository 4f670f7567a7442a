import type { AskOptions, KeyLookup, Remotes } from "#src/homeserver/remotes.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/** Of whom what is missing can be asked, and how. */
export type Sources = {
  /** Those that probably have it, the likeliest first. */
  readonly servers: readonly ServerName[];
  readonly remotes: Pick<
    Remotes,
    | "getMissingPreviousEvents"
    | "getEventAuth"
    | "getRoomStateIds"
    | "getRoomState"
    | "getEvent"
    | "backfillRoom"
  >;
  readonly keys: KeyLookup;
  /** Gives up asking: what is not known by then is left out. */
  readonly until?: AbortSignal;
  /** How long one server may take for one answer, if not as long as is configured. */
  readonly timeoutMs?: number;
};

/** How many servers are asked the same. */
export const MOST_SERVERS = 3;

export function optionsOf({ until, timeoutMs }: Pick<Sources, "until" | "timeoutMs">): AskOptions {
  return { ...(until && { signal: until }), ...(timeoutMs !== undefined && { timeoutMs }) };
}
