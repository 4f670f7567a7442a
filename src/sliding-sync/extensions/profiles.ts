import type { DeviceListChanges } from "#src/encryption/device-list-changes.ts";
import { deviceListsSection } from "#src/encryption/sync-section.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { readSections } from "#src/sync/read-sections.ts";
import { type ProfileNews, profileNews } from "#src/users/profile-news.ts";
import { LIVE, noLongerLive, toldUpTo } from "../connection-state.ts";
import { isLazy } from "../required-state.ts";
import { joinedOf } from "./e2ee.ts";
import type { Around, Extension } from "./extension.ts";
import { leaveOthersBehind, roomsFor, unknownOf } from "./room-scope.ts";

/** MSC4262: profiles of those in rooms that are new to the client, and what anybody changes of theirs. */
export async function profilesExtension(
  hs: Homeserver,
  around: Around,
): Promise<Extension | undefined> {
  const { request, draft, position, upTo, changes, userRooms, roomIds } = around;
  const asked = request.extensions["org.matrix.msc4262.profiles"];
  const rooms = roomsFor(around, asked, "join");
  leaveOthersBehind(around, "profiles", { rooms, isOf: () => false });
  const told = draft.globals.profiles;
  if (!asked?.enabled) {
    draft.setGlobals({ profiles: noLongerLive(told, position) });
    return undefined;
  }
  draft.setGlobals({ profiles: LIVE });
  const unknown = unknownOf(around, rooms, "profiles");
  const after = toldUpTo(told, position);
  const { userKey } = request.requester;
  const news = await profileNews(
    hs,
    {
      userKey,
      fields: asked.fields && new Set(asked.fields),
      rooms: joinedOf(userRooms, roomIds),
      newRooms: [...unknown].filter((it) => !isLazyIn(around, it)),
      newUsers: [...(after === undefined ? [userKey] : []), ...speakersIn(around)],
      changes: after === undefined ? [] : after === position ? changes : undefined,
    },
    { after: after ?? upTo, upTo },
  );
  const left = after === undefined ? [] : await leftSince(hs, around, after);
  const users = Object.fromEntries([
    ...news.map(wireOf),
    ...left.map((userId): [string, null] => [userId, null]),
  ]);
  return Object.keys(users).length === 0 ? undefined : { value: { users }, isNews: true };
}

/** Those with whom the user shares no room any more, whom the client may forget: whose devices do not matter either. */
async function leftSince(
  hs: Homeserver,
  { request: { requester }, position, upTo, changes, userRooms, roomIds }: Around,
  after: Position,
): Promise<readonly UserId[]> {
  const rooms = joinedOf(userRooms, roomIds);
  const question = {
    requester,
    rooms,
    newRooms: new Set<number>(),
    changes: after === position ? changes : undefined,
  };
  const { global } = await readSections(hs, [deviceListsSection], question, { after, upTo });
  return (global["device_lists"] as DeviceListChanges | undefined)?.left ?? [];
}

function isLazyIn({ relevant }: Around, roomKey: number): boolean {
  const room = relevant.get(roomKey);
  return room !== undefined && isLazy(room.config.requiredState);
}

/** Where members come lazily, those by whom a timeline is that the client has not had before. */
function speakersIn({ relevant, timelines }: Around): Iterable<number> {
  const speakers = new Set<number>();
  for (const [roomKey, { config }] of relevant) {
    if (!isLazy(config.requiredState)) continue;
    for (const { senderKey } of timelines.get(roomKey)?.events ?? []) speakers.add(senderKey);
  }
  return speakers;
}

function wireOf({ userId, updated, removed }: ProfileNews): [string, object] {
  const hasUpdated = Object.keys(updated).length > 0;
  return [userId, { ...(hasUpdated && { updated }), ...(removed.length > 0 && { removed }) }];
}
