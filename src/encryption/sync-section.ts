import { DEVICE_LISTS, type DeviceListDetail } from "#src/devices/device-lists.ts";
import type { Filter } from "#src/filters/filter.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";
import type { Change } from "#src/streams/stream.ts";
import type { SyncQuestion, SyncSection } from "#src/streams/sync-section.ts";
import { changedDeviceLists, type DeviceListChanges } from "./device-list-changes.ts";
import { keyCountsOf } from "./key-counts.ts";
import { KEY_SUPPLY, type KeySupplyDetail } from "./key-supply.ts";

/**
 * Whose devices the client must ask for anew. A first sync tells of none: the client follows nobody yet.
 *
 * @spec client-server-api#extensions-to-sync-e2e-extensions-to-sync
 */
export const deviceListsSection: SyncSection = {
  name: "device-lists",
  streams: [DEVICE_LISTS, EVENTS],

  concerns(change, question) {
    const { requester } = question;
    if (change.stream === EVENTS && !movesMembers(change)) return false;
    if (isOwnMember(change, requester.userId)) return true;
    if (change.userKey !== undefined) return change.userKey === requester.userKey;
    if (change.roomKey === undefined) return false;
    // A filter of rooms narrows down what is in `rooms`, but not whose devices matter.
    return question.rooms.has(change.roomKey) || isNarrowed(question);
  },

  async read(hs, question, { after, upTo }) {
    if (after === undefined) return {};
    const { changes, requester } = question;
    const inMemory =
      changes && !isNarrowed(question) && changes.every((it) => it.stream === DEVICE_LISTS);
    const lists: DeviceListChanges = inMemory
      ? { changed: await usersIn(hs, changes), left: [] }
      : await changedDeviceLists(hs, requester.userKey, { after, upTo });
    return lists.changed.length + lists.left.length === 0
      ? {}
      : { global: { device_lists: lists } };
  },
};

/** Where forks were resolved, members may have come or gone without an event of theirs. */
function movesMembers({ detail, userKey }: Change): boolean {
  if (!(detail instanceof StoredEvent)) return userKey !== undefined;
  return detail.type === "m.room.member" || detail.amongForks;
}

function isOwnMember({ detail }: Change, userId: string): boolean {
  return (
    detail instanceof StoredEvent && detail.type === "m.room.member" && detail.stateKey === userId
  );
}

/** Nobody has come or gone: then those are meant of whom the stream tells. */
async function usersIn(hs: Parameters<SyncSection["read"]>[0], changes: readonly Change[]) {
  const keys = new Set(changes.map((it) => (it.detail as DeviceListDetail).userKey));
  return [...(await userIdsOf(hs, keys)).values()];
}

function isNarrowed({ filter }: Pick<SyncQuestion, "filter">): boolean {
  const room = (filter as Filter | undefined)?.room;
  return room?.rooms !== undefined || room?.not_rooms !== undefined;
}

/**
 * Wakes a device whose keys have been claimed, so that it uploads new ones. The numbers are in every
 * answer, by `keyCountsOf`.
 */
export const keySupplySection: SyncSection = {
  name: "key-supply",
  streams: [KEY_SUPPLY],

  concerns({ stream, deviceKey, detail }, { requester }) {
    const isClaim = stream === KEY_SUPPLY && (detail as KeySupplyDetail).claimed;
    return isClaim && deviceKey === requester.deviceKey;
  },

  async read(hs, { requester }) {
    return { global: await keyCountsOf(hs, requester.deviceKey) };
  },
};
