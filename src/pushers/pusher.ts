import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";

/** The kinds of pushers that there are. */
export type PusherKind = "http" | "email";

/** How a user wants to be told of what happens while they are away, in the words of the client that asked. */
export type PusherSettings = {
  readonly appId: string;
  readonly pushkey: string;
  readonly kind: PusherKind;
  readonly appDisplayName: string;
  readonly deviceDisplayName: string;
  readonly profileTag: string | null;
  readonly lang: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly isEnabled: boolean;
};

/** A pusher as its user sees it. */
export type Pusher = PusherSettings & { readonly deviceId: string };

/** A pusher that this process is about, and how far its user has been told. */
export type OwedPusher = {
  readonly pusherKey: number;
  readonly userKey: number;
  readonly userId: UserId;
  readonly appId: string;
  readonly pushkey: string;
  readonly kind: PusherKind;
  readonly lang: string;
  /** JSON. */
  readonly data: string;
  readonly setMs: UnixMs;
  readonly owedUpTo: Position;
  readonly pushedUpTo: Position;
  /** Null if nothing was told yet. */
  readonly toldUnread: number | null;
  readonly failures: number;
  /** Of one by e-mail: when the last was sent, and how long after it none is. */
  readonly mailedMs: UnixMs;
  readonly mailGapMs: number;
};
