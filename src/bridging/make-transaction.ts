import type { Appservice } from "#src/config/appservice.ts";
import { looksAfterUser, ownsUser, senderOf } from "#src/config/registered-appservices.ts";
import { ephemeralBetween, ephemeralEvents } from "#src/ephemeral/told-between.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { presenceEventsBetween } from "#src/presence/told-between.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { roomsByKeys } from "#src/rooms/find-room.ts";
import { renderEvents } from "#src/rooms/render-events.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { eventsOfInterest, roomsOfInterest, usersOfInterest } from "./interest.ts";
import { withInviteStates } from "./invite-states.ts";
import { type KeyNews, keyNews } from "./key-news.ts";
import type { MadeTransaction } from "./queries-feeds.ts";
import { type Bounds, newEvents, waitingMessages, type WaitingMessage } from "./queries-news.ts";

/** The most events, and messages to devices, that are looked at for one transaction. */
const MOST_EVENTS = 100;
const MOST_MESSAGES = 100;

/** What there is to tell up to a position; without a body if that is nothing. */
export type Made = Omit<MadeTransaction, "body"> & { readonly body: string | undefined };

/**
 * Makes the transaction that tells an application service what has happened in a range of positions, or in the first
 * part of it.
 *
 * @spec application-service-api#pushing-events
 */
export async function makeTransaction(
  hs: Homeserver,
  appservice: Appservice,
  range: Bounds,
): Promise<Made> {
  const [found, waiting] = await Promise.all([
    newEvents(hs.sql, range, MOST_EVENTS),
    appservice.receivesEphemeral ? waitingMessages(hs.sql, range, MOST_MESSAGES) : [],
  ]);
  const upTo = Math.min(
    found.length < MOST_EVENTS ? range.upTo : (found.at(-1)?.at ?? range.upTo),
    waiting.length < MOST_MESSAGES ? range.upTo : (waiting.at(-1)?.position ?? range.upTo),
  );
  const bounds = { after: range.after, upTo };
  const stored = await eventsOf(
    hs,
    found.map((it) => it.eventKey),
  );
  const inRange = found
    .filter((it) => it.at <= upTo)
    .flatMap(({ eventKey, at }) => {
      const event = stored.get(eventKey);
      return event ? [{ event, at }] : [];
    });
  const events = await eventsOfInterest(hs, appservice, inRange);
  const messages = waiting.filter(
    (it) => it.position <= upTo && ownsUser(hs.config, appservice, it.userId),
  );
  const ephemeral = appservice.receivesEphemeral ? await ephemeralFor(hs, appservice, bounds) : [];
  const keys = appservice.receivesKeyNews
    ? await keyNews(hs, appservice, bounds, { events, messages })
    : {};
  const parts = { ephemeral, messages, keys };
  return {
    upTo,
    deviceKeys: [...new Set(messages.map((it) => it.deviceKey))],
    body: isNothing(events, parts) ? undefined : await bodyOf(hs, appservice, { events, ...parts }),
  };
}

type Parts = {
  readonly ephemeral: readonly object[];
  readonly messages: readonly WaitingMessage[];
  readonly keys: KeyNews;
};

function isNothing(events: readonly StoredEvent[], { ephemeral, messages, keys }: Parts): boolean {
  return events.length + ephemeral.length + messages.length + Object.keys(keys).length === 0;
}

async function ephemeralFor(
  hs: Homeserver,
  appservice: Appservice,
  { after, upTo }: Bounds,
): Promise<object[]> {
  const news = await ephemeralBetween(hs, after, upTo);
  const changed = new Set([...news.receipts.keys(), ...news.typing]);
  const isOwn = (userId: string) => looksAfterUser(hs.config, appservice, userId);
  const roomKeys = await roomsOfInterest(hs, appservice, changed);
  const told = await ephemeralEvents(hs, news, { roomKeys, sees: isOwn });
  const rooms = await roomsByKeys(hs, roomKeys);
  return [
    ...told.map(({ roomKey, ...event }) => ({ ...event, room_id: rooms.get(roomKey)?.roomId })),
    ...(await presenceEventsBetween(
      hs,
      { after, upTo },
      async (userKeys, among) => await usersOfInterest(hs, appservice, userKeys, among),
    )),
  ];
}

/** Under the names of the specification, and those that deployed bridges read (MSC2409, MSC3202, MSC4203). */
async function bodyOf(
  hs: Homeserver,
  appservice: Appservice,
  { events, ephemeral, messages, keys }: Parts & { readonly events: readonly StoredEvent[] },
): Promise<string> {
  const userId = senderOf(hs.config, appservice);
  const userKey = await userKeyOf(hs, userId);
  const reader = { userId, userKey, deviceKey: -userKey };
  const plain = await renderEvents(hs, events, reader, { roomId: true, everything: true });
  const texts = await withInviteStates(hs, appservice, events, plain);
  const toDevice = messages.map((it) => ({
    type: it.type,
    sender: it.sender,
    content: JSON.parse(it.content) as object,
    to_user_id: it.userId,
    to_device_id: it.deviceId,
  }));
  const { deviceLists, counts, fallbacks } = keys;
  const rest = JSON.stringify({
    ...(ephemeral.length > 0 && { ephemeral, "de.sorunome.msc2409.ephemeral": ephemeral }),
    ...(toDevice.length > 0 && {
      to_device: toDevice,
      "de.sorunome.msc2409.to_device": toDevice,
    }),
    ...(deviceLists && {
      device_lists: deviceLists,
      "org.matrix.msc3202.device_lists": deviceLists,
    }),
    ...(counts && {
      device_one_time_keys_count: counts,
      "org.matrix.msc3202.device_one_time_keys_count": counts,
      "org.matrix.msc3202.device_one_time_key_counts": counts,
    }),
    ...(fallbacks && {
      device_unused_fallback_key_types: fallbacks,
      "org.matrix.msc3202.device_unused_fallback_key_types": fallbacks,
    }),
  });
  const further = rest === "{}" ? "" : `,${rest.slice(1, -1)}`;
  return `{"events":[${texts.join(",")}]${further}}`;
}
