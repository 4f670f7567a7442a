import type { Filter } from "#src/filters/filter.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import type { Change } from "#src/streams/stream.ts";
import type { SyncSection } from "#src/streams/sync-section.ts";
import { profileNews } from "./profile-news.ts";
import { PROFILES } from "./profiles-stream.ts";

/** MSC4429: what others have changed of their profiles, for clients whose filter names the fields. */
export const profilesSection: SyncSection = {
  name: "profiles",
  streams: [PROFILES, EVENTS],

  concerns: (change, { requester, rooms }) =>
    (change.stream === PROFILES && change.userKey === requester.userKey) ||
    ((change.stream === PROFILES || arriving(change) !== undefined) &&
      rooms.has(change.roomKey ?? -1)),

  async read(hs, { requester, filter, rooms, newRooms, changes }, { after, upTo }) {
    const ids = (filter as Filter | undefined)?.["org.matrix.msc4429.profile_fields"]?.ids ?? [];
    if (ids.length === 0) return {};
    const arrived = (changes ?? []).flatMap((it) => arriving(it) ?? []);
    const news = await profileNews(
      hs,
      {
        userKey: requester.userKey,
        fields: new Set(ids),
        rooms,
        newRooms: after === undefined ? rooms.keys() : newRooms,
        newUsers: (await findUserKeys(hs, arrived)).values(),
        changes: after === undefined ? [] : changes,
      },
      { after: after ?? upTo, upTo },
    );
    if (news.length === 0) return {};
    const users = news.map(({ userId, updated, removed }) => {
      const gone = Object.fromEntries(removed.map((it) => [it, null]));
      return [userId, { profile_updates: { ...updated, ...gone } }];
    });
    return { global: { "org.matrix.msc4429.users": Object.fromEntries(users) } };
  },
};

/** Who comes to a room by a change, if anybody. */
function arriving({ detail }: Change): `@${string}:${string}` | undefined {
  const isJoin =
    detail instanceof StoredEvent &&
    detail.type === "m.room.member" &&
    detail.content["membership"] === "join";
  return isJoin ? (detail.stateKey as `@${string}:${string}` | undefined) : undefined;
}
