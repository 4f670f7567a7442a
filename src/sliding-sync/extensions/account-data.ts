import { ACCOUNT_DATA } from "#src/account-data/account-data-stream.ts";
import { NO_ROOM } from "#src/account-data/account-data.ts";
import { accountDataSection } from "#src/account-data/sync-section.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Change } from "#src/streams/stream.ts";
import { readSections } from "#src/sync/read-sections.ts";
import { LIVE, noLongerLive } from "../connection-state.ts";
import type { Around, Extension } from "./extension.ts";
import { leaveOthersBehind, roomsFor, unknownOf } from "./room-scope.ts";

/** MSC3959: account data, with that of rooms that the client has been told of. */
export async function accountDataExtension(
  hs: Homeserver,
  around: Around,
): Promise<Extension | undefined> {
  const { request, draft, position, upTo, changes } = around;
  const { requester, extensions } = request;
  const asked = extensions.account_data;
  const rooms = roomsFor(around, asked);
  leaveOthersBehind(around, "accountData", { rooms, isOf: isAccountData(requester.userKey) });
  const told = draft.globals.accountData;
  if (!asked?.enabled) {
    draft.setGlobals({ accountData: noLongerLive(told, position) });
    return undefined;
  }
  draft.setGlobals({ accountData: LIVE });
  const unknown = unknownOf(around, rooms, "accountData");
  if (told !== LIVE) unknown.add(NO_ROOM);
  const part = await readSections(
    hs,
    [accountDataSection],
    { requester, rooms, newRooms: unknown, changes: position === undefined ? [] : changes },
    { after: position ?? upTo, upTo },
  );
  const global = (part.global["account_data"] as { events: object[] } | undefined)?.events ?? [];
  const byRoom = [...part.rooms].map(([roomKey, it]) => [
    around.roomIds.get(roomKey) ?? "",
    it.accountData ?? [],
  ]);
  if (global.length + byRoom.length === 0) return undefined;
  return {
    value: {
      ...(global.length > 0 && { global }),
      ...(byRoom.length > 0 && { rooms: Object.fromEntries(byRoom) }),
    },
    isNews: true,
  };
}

function isAccountData(userKey: number) {
  return (it: Change) => it.stream === ACCOUNT_DATA && it.userKey === userKey;
}
