import type { UnixMs } from "#src/homeserver/position.ts";
import { IDLE_MS, type Presence, type PresenceState } from "./presence.ts";

/** What happens to somebody's presence. */
export type PresenceAct =
  /** The user says so. */
  | { readonly kind: "say"; readonly state: PresenceState; readonly statusMsg: string | undefined }
  /** The clients of one process say so by syncing; undefined if none of them does any more. */
  | { readonly kind: "sync"; readonly processId: string; readonly state: SyncingState | undefined }
  /** The user was seen to do something. */
  | { readonly kind: "act"; readonly atMs: UnixMs }
  /** The user was not, for a while. */
  | { readonly kind: "idle"; readonly lastActiveMs: UnixMs }
  /** The user's own server says so. */
  | {
      readonly kind: "told";
      readonly state: PresenceState;
      readonly statusMsg: string | undefined;
      readonly lastActiveMs: UnixMs;
    }
  /** The user's own server has not said so for a while. */
  | { readonly kind: "unheard"; readonly sinceMs: UnixMs };

export type SyncingState = Exclude<PresenceState, "offline">;

/** What counts when something happens. */
export type Around = {
  /** What the clients of all processes say to be, after it has happened. */
  readonly syncing: SyncingState | undefined;
  readonly toldMs: UnixMs;
  readonly now: UnixMs;
};

/**
 * What comes of it.
 *
 * @returns what was before, itself, if nothing changes.
 * @spec client-server-api#presence
 */
export function decidePresence(before: Presence, act: PresenceAct, around: Around): Presence {
  const { now } = around;
  switch (act.kind) {
    case "say":
      return {
        ...before,
        state: act.state,
        statusMsg: act.statusMsg,
        lastActiveMs: act.state === "online" ? now : before.lastActiveMs,
      };
    case "sync":
      return bySyncing(before, act, around);
    case "act":
      return onActing(before, act, around);
    case "idle": {
      const lastActiveMs = Math.max(before.lastActiveMs, act.lastActiveMs);
      const isIdle = before.state === "online" && lastActiveMs <= now - IDLE_MS;
      return isIdle ? { ...before, state: "unavailable", lastActiveMs } : before;
    }
    case "told": {
      const { state, statusMsg, lastActiveMs } = act;
      return { ...before, state, statusMsg, lastActiveMs };
    }
    case "unheard": {
      const isLost = before.state !== "offline" && around.toldMs < act.sinceMs;
      return isLost ? { ...before, state: "offline" } : before;
    }
  }
}

/** Who is offline, and syncs, wants to be taken for that. */
function onActing(
  before: Presence,
  { atMs }: Extract<PresenceAct, { kind: "act" }>,
  { syncing }: Around,
): Presence {
  const isBack = before.state === "unavailable" && syncing !== undefined;
  return isBack ? { ...before, state: "online", lastActiveMs: atMs } : before;
}

/** What a user says of themselves holds until their clients say something else. */
function bySyncing(
  before: Presence,
  { state }: Extract<PresenceAct, { kind: "sync" }>,
  { syncing, now }: Around,
): Presence {
  if (syncing === undefined) {
    return before.state === "offline" ? before : { ...before, state: "offline" };
  }
  // Another client went, and nothing else has changed.
  if (state === undefined && before.state !== "offline") return before;
  if (before.state === syncing) return before;
  return { ...before, state: syncing, ...(syncing === "online" && { lastActiveMs: now }) };
}
