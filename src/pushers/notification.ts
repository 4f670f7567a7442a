import type { Action } from "#src/push-rules/push-rule.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import type { OwedPusher } from "./pusher.ts";

/** An event that somebody is told of, with what it takes to show it. */
export type Told = {
  readonly event: StoredEvent;
  readonly roomId: string;
  readonly actions: readonly Action[];
  readonly highlight: boolean;
  readonly senderName: string | undefined;
  readonly roomName: string | undefined;
  readonly roomAlias: string | undefined;
};

/** What a gateway is sent. @spec push-gateway-api#homeserver-behaviour */
export type Notification = {
  readonly notification: { readonly devices: readonly object[] } & Readonly<
    Record<string, unknown>
  >;
};

type Addressee = Pick<OwedPusher, "userId" | "appId" | "pushkey" | "setMs"> & {
  readonly settings: Readonly<Record<string, unknown>>;
};

/**
 * What the gateway of a pusher is told of an event, or without one, of how much is unread.
 *
 * @spec client-server-api#push-notifications
 */
export function notificationOf(
  to: Addressee,
  unread: number,
  told: Told | undefined,
): Notification {
  const isSparse = to.settings["format"] === "event_id_only";
  // None left is said as well, though it might be left out: gateways in use take a badge from a phone only at a 0.
  const counts = { counts: { unread } };
  const tweaks = told && !isSparse ? { tweaks: tweaksOf(told.actions) } : {};
  const devices = [{ ...deviceOf(to), ...tweaks }];
  if (!told) return { notification: { ...counts, devices } };
  const { event, roomId } = told;
  const { eventId } = event;
  const which = { event_id: eventId, room_id: roomId, prio: priorityOf(told) };
  if (isSparse) return { notification: { ...which, ...counts, devices } };
  // Old gateways know the event's ID under its old name.
  return { notification: { ...which, id: eventId, ...detailsOf(to, told), ...counts, devices } };
}

function detailsOf(to: Addressee, told: Told): object {
  const { event, senderName, roomName, roomAlias } = told;
  return {
    type: event.type,
    sender: event.sender,
    content: event.content,
    ...(senderName !== undefined && { sender_display_name: senderName }),
    ...(roomName !== undefined && { room_name: roomName }),
    ...(roomAlias !== undefined && { room_alias: roomAlias }),
    ...(event.type === "m.room.member" && membershipOf(to, event)),
  };
}

/** Gateways tell invitations from other member events by `membership`, which the specification has dropped. */
function membershipOf({ userId }: Addressee, { stateKey, content }: StoredEvent): object {
  const { membership } = content;
  return {
    user_is_target: stateKey === userId,
    ...(typeof membership === "string" && { membership }),
  };
}

/** The pusher's own settings go along, but for where its gateway is. */
function deviceOf({ appId, pushkey, setMs, settings }: Addressee): object {
  const { url: _, ...data } = settings;
  return { app_id: appId, pushkey, pushkey_ts: Math.floor(setMs / 1000), data };
}

function tweaksOf(actions: readonly Action[]): Record<string, unknown> {
  const tweaks = actions.flatMap((it) =>
    typeof it === "object" ? [[it.set_tweak, it.value ?? true] as const] : [],
  );
  return Object.fromEntries(tweaks);
}

/** What makes itself heard, or may be a call that only the client can read, is not to wait until a phone wakes. */
function priorityOf({ event, highlight, actions }: Told): "high" | "low" {
  const isHeard = actions.some((it) => typeof it === "object" && it.set_tweak === "sound");
  return highlight || isHeard || event.type === "m.room.encrypted" ? "high" : "low";
}
