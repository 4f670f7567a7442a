import type { AskOptions } from "#src/homeserver/ask-options.ts";
import type { KeyLookup, Remotes } from "#src/homeserver/remotes.ts";
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
  /** Whether those are passed over that have not answered lately. */
  readonly sparesAbsent?: true;
};

/** How many servers are asked the same. */
export const MOST_SERVERS = 3;

export function optionsOf({
  until,
  timeoutMs,
  sparesAbsent,
}: Pick<Sources, "until" | "timeoutMs" | "sparesAbsent">): AskOptions {
  return {
    ...(until && { signal: until }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(sparesAbsent && { sparesAbsent }),
  };
}
