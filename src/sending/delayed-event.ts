import type { UnixMs } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";

/** What somebody has asked to be sent later. */
export type DelayedEvent = {
  readonly delayId: string;
  readonly userKey: number;
  readonly userId: UserId;
  readonly deviceKey: number;
  readonly roomKey: number;
  readonly roomId: string;
  readonly type: string;
  /** Null if it is no state event. */
  readonly stateKey: string | null;
  /** JSON. */
  readonly content: string;
  readonly delayMs: number;
  /** For how long it is to be sticky once it is sent; null if it is not to be. */
  readonly stickyMs: number | null;
  /** When it was scheduled, or put off last. */
  readonly scheduledMs: UnixMs;
  /** When it was sent, cancelled or could not be sent; null while it waits. */
  readonly endedMs: UnixMs | null;
  /** What it was sent as. */
  readonly eventId: string | null;
  /** JSON: why it could not be sent. */
  readonly error: string | null;
};

/** What can be done about one that waits. */
export type Action = "send" | "cancel" | "restart";

export const ACTIONS: readonly Action[] = ["send", "cancel", "restart"];

/**
 * One as its user sees it, by the names of the proposal and by those that clients read today.
 *
 * @see https://github.com/matrix-org/matrix-spec-proposals/pull/4140
 */
export function wireOf(it: DelayedEvent): Record<string, unknown> {
  return {
    delay_id: it.delayId,
    room_id: it.roomId,
    type: it.type,
    ...(it.stateKey !== null && { state_key: it.stateKey }),
    delay_ms: it.delayMs,
    delay: it.delayMs,
    scheduled_at: it.scheduledMs,
    running_since: it.scheduledMs,
    content: JSON.parse(it.content) as object,
    ...(it.error !== null && { error: JSON.parse(it.error) as object }),
    ...(it.eventId !== null && { event_id: it.eventId }),
    ...(it.endedMs !== null && { finalised_ts: it.endedMs }),
  };
}
