import type { Position, UnixMs } from "#src/homeserver/position.ts";

/** @spec client-server-api#presence */
export type PresenceState = "online" | "unavailable" | "offline";

/** What is known of whether a user is there. */
export type Presence = {
  readonly userKey: number;
  /** Whether the user is of this server. */
  readonly local: boolean;
  readonly state: PresenceState;
  readonly statusMsg: string | undefined;
  readonly lastActiveMs: UnixMs;
};

/** The same as it is stored. */
export type PresenceRow = Presence & {
  /** When it was last said, news or not. */
  readonly toldMs: UnixMs;
  /** When it last became news. */
  readonly position: Position;
};

/** After this time without being seen to do anything, who is online is taken to be away. */
export const IDLE_MS = 5 * 60_000;

/** A presence as it goes over the wire to clients. */
export type PresenceContent = {
  readonly presence: PresenceState;
  readonly last_active_ago?: number;
  readonly status_msg?: string;
  readonly currently_active?: boolean;
};

export function contentOf(
  { state, statusMsg, lastActiveMs }: Presence,
  now: UnixMs,
): PresenceContent {
  return {
    presence: state,
    ...(lastActiveMs > 0 && { last_active_ago: Math.max(0, now - lastActiveMs) }),
    ...(statusMsg !== undefined && { status_msg: statusMsg }),
    // Who is not is taken to be away.
    ...(state === "online" && { currently_active: true }),
  };
}
