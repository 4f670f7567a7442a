import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { type Noted, notableEvents } from "#src/push/notable-events.ts";
import { displayNameIn } from "#src/push/room-context.ts";
import { unreadTotal } from "#src/push/unread-total.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import { notificationOf, type Told as ToldEvent } from "./notification.ts";
import type { OwedPusher } from "./pusher.ts";
import type { OwedEvent } from "./queries-owed.ts";
import { sendToGateway } from "./send-to-gateway.ts";

/** For how long it is worth while to tell somebody of an event, after telling has failed. */
const WORTH_TELLING_MS = 24 * 60 * 60 * 1000;

/** How long a turn may take until the next: by far less than a lease lasts. */
const LONGEST_TURN_MS = 40_000;

/** By which a client says that it counts itself (MSC4076). */
const NO_COUNTS = "org.matrix.msc4076.disable_badge_count";

/** How far somebody has been told. */
export type Progress = {
  upTo: Position;
  /** How much is unread by what they were told last. */
  unread: number | null;
};

/**
 * Tells a user over a pusher what they are owed: of each event of which their rules say so and that they have
 * not read yet; and if there is none, of how much is unread, should that be other than they were told.
 *
 * @param owed what may concern them, in order.
 * @param reached up to where that is all.
 * @param progress moved on as they are told, so that it is true also after a failure.
 * @returns false if the gateway says that there is nobody.
 * @throws OutboundError, or what else keeps it from being told.
 */
export async function tellUser(
  hs: Homeserver,
  pusher: OwedPusher,
  { owed, reached }: { readonly owed: readonly OwedEvent[]; readonly reached: Position },
  progress: Progress,
): Promise<boolean> {
  const settings = JsonObject.parse(JSON.parse(pusher.data));
  const url = textOf(settings["url"]) ?? "";
  const unread = await unreadTotal(hs, pusher);
  const tell = async (told?: ToldEvent): Promise<boolean> => {
    const notification = notificationOf({ ...pusher, settings }, unread, told);
    return !(await sendToGateway(hs, url, notification)).includes(pusher.pushkey);
  };

  const positions = new Map(owed.map((it) => [it.eventKey, it.position]));
  const since = pusher.failures > 0 ? hs.now() - WORTH_TELLING_MS : 0;
  const begun = performance.now();
  const noted = await notableEvents(hs, pusher, owed);
  for (const it of noted.filter(({ isRead, event }) => !isRead && event.originServerTs >= since)) {
    if (!(await tell(await withNames(hs, it)))) return false;
    progress.upTo = positions.get(it.event.eventKey) ?? progress.upTo;
    progress.unread = unread;
    if (performance.now() - begun > LONGEST_TURN_MS) return true;
  }
  const isNews = unread !== (progress.unread ?? 0) && settings[NO_COUNTS] !== true;
  if (isNews && !(await tell())) return false;
  progress.unread = unread;
  progress.upTo = reached;
  return true;
}

async function withNames(hs: Homeserver, it: Noted): Promise<ToldEvent> {
  const { roomKey, sender } = it.event;
  const [senderName, name, alias] = await Promise.all([
    displayNameIn(hs, roomKey, sender),
    stateEvent(hs, roomKey, "m.room.name", ""),
    stateEvent(hs, roomKey, "m.room.canonical_alias", ""),
  ]);
  return {
    ...it,
    senderName,
    roomName: name?.redactedBy === undefined ? textOf(name?.content["name"]) : undefined,
    roomAlias: alias?.redactedBy === undefined ? textOf(alias?.content["alias"]) : undefined,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
