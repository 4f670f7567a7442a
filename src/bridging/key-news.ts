import type { Appservice } from "#src/config/appservice.ts";
import { looksAfterUser, ownsUser } from "#src/config/registered-appservices.ts";
import { countsByAlgorithm } from "#src/encryption/key-counts.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { usersOfInterest } from "./interest.ts";
import {
  type Bounds,
  deviceListNews,
  keySupplyNews,
  keySupplyOf,
  type WaitingMessage,
} from "./queries-news.ts";

type ByDevice<T> = Record<string, Record<string, T>>;

/** What an application service hears of devices and their keys (MSC3202). */
export type KeyNews = {
  readonly deviceLists?: { readonly changed: readonly UserId[]; readonly left: readonly UserId[] };
  readonly counts?: ByDevice<Record<string, number>>;
  readonly fallbacks?: ByDevice<readonly string[]>;
};

/**
 * Whose keys an application service must ask for anew or need not follow any more, and how many keys are left of the
 * devices that it looks after alone, of those where that has changed or that are told something.
 */
export async function keyNews(
  hs: Homeserver,
  appservice: Appservice,
  bounds: Bounds,
  told: { readonly events: readonly StoredEvent[]; readonly messages: readonly WaitingMessage[] },
): Promise<KeyNews> {
  const deviceLists = await deviceListsFor(hs, appservice, bounds, told.events);
  const toldTo = told.messages.map((it) => it.deviceKey);
  const devices = (await keySupplyNews(hs.sql, bounds, toldTo)).filter((it) =>
    ownsUser(hs.config, appservice, it.userId),
  );
  if (devices.length === 0) return deviceLists;
  const supply = Map.groupBy(
    await keySupplyOf(
      hs.sql,
      devices.map((it) => it.deviceKey),
    ),
    (it) => it.deviceKey,
  );
  const counts: ByDevice<Record<string, number>> = {};
  const fallbacks: ByDevice<readonly string[]> = {};
  for (const { deviceKey, deviceId, userId } of devices) {
    const its = supply.get(deviceKey) ?? [];
    const known = its.flatMap(({ algorithm, count }) =>
      count === null ? [] : [{ algorithm, count }],
    );
    const unused = its.filter((it) => it.count === null).map((it) => it.algorithm);
    counts[userId] = { ...counts[userId], [deviceId]: countsByAlgorithm(known) };
    fallbacks[userId] = { ...fallbacks[userId], [deviceId]: unused };
  }
  return { ...deviceLists, counts, fallbacks };
}

async function deviceListsFor(
  hs: Homeserver,
  appservice: Appservice,
  bounds: Bounds,
  events: readonly StoredEvent[],
): Promise<Pick<KeyNews, "deviceLists">> {
  const news = new Map((await deviceListNews(hs.sql, bounds)).map((it) => [it.userId, it.userKey]));
  const moved = events
    .filter((it) => it.type === "m.room.member")
    .map((it) => it.stateKey as UserId);
  const movers = await findUserKeys(hs, moved);
  const all = new Map([...news, ...movers]);
  if (all.size === 0) return {};
  const shared = await usersOfInterest(hs, appservice, [...all.values()]);
  const changed = [...all].filter(
    ([userId, userKey]) =>
      shared.has(userKey) || (news.has(userId) && looksAfterUser(hs.config, appservice, userId)),
  );
  const left = [...movers].filter(
    ([userId, userKey]) => !shared.has(userKey) && !looksAfterUser(hs.config, appservice, userId),
  );
  if (changed.length === 0 && left.length === 0) return {};
  const ids = (its: readonly (readonly [UserId, number])[]) => its.map(([userId]) => userId);
  return { deviceLists: { changed: ids(changed), left: ids(left) } };
}
