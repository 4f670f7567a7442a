import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Job } from "#src/jobs/job.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { currentStateRoot, statesAt } from "#src/rooms/current-state.ts";
import { pairKey } from "#src/rooms/state-slots.ts";
import { wordsOfUser } from "./directory-words.ts";
import { type NameInMember, nameInMember } from "./name-in-member.ts";
import {
  advanceDirectory,
  directoryProgress,
  forgetAbsent,
  knownOpenRooms,
  type MovedMember,
  nextMembers,
  nextRooms,
  type RemoteName,
  residedRooms,
  setOpenRooms,
  storeRemoteNames,
} from "./queries-directory.ts";

const BATCH = 500;

/** After all keys of users and rooms. */
const LAST_KEY = Number.MAX_SAFE_INTEGER;

/** How many batches a search waits for. If the directory is further behind, it answers from what there is. */
const MOST_BATCHES = 4;

/** Keeps the user directory up when nobody searches. */
export const followUserDirectory: Job = {
  name: "follow-user-directory",
  everyMs: 10_000,
  followsStreams: true,
  run: async (hs) => await followSome(hs),
};

/** Brings the user directory to where the streams are now, so that who reads after a write finds it. */
export async function catchUpDirectory(hs: Homeserver): Promise<void> {
  for (let batch = 0; batch < MOST_BATCHES; batch++) {
    if ((await followSome(hs)) === "done") return;
  }
}

/**
 * Takes in the next of what happened in rooms: which are open to anybody, and what users of other
 * servers are called. Any process may do it; what was read is stored by the quickest.
 */
async function followSome(hs: Homeserver): Promise<"more" | "done"> {
  const { done, upTo } = await directoryProgress(hs);
  if (done >= upTo) return "done";
  const after = { position: done, user_key: LAST_KEY, room_key: LAST_KEY };
  const [rooms, members] = await Promise.all([
    nextRooms(hs, { done, upTo }, BATCH),
    nextMembers(hs, { after, upTo }, BATCH),
  ]);
  const to = Math.min(endOf(rooms, upTo), endOf(members, upTo));
  const moved = rooms.filter((it) => it.position <= to).map((it) => it.room_key);
  const openness = await opennessOf(hs, new Set(moved));
  const rest = await storeMany(hs, members, openness);
  const last = await readMembers(
    hs,
    rest.filter((it) => it.position <= to),
    openness,
  );
  await hs.sql.begin(async (tx) => {
    if (!(await advanceDirectory(tx, { from: done, to }))) return;
    await setOpenRooms(tx, openness);
    await storeMembers(tx, last);
  });
  return to >= upTo ? "done" : "more";
}

/** Up to where all there is has been read. */
function endOf(rows: readonly { readonly position: Position }[], upTo: Position): Position {
  const [first, last] = [rows[0], rows.at(-1)];
  if (!first || !last || rows.length < BATCH) return upTo;
  // There may be more at the last place.
  return first.position === last.position ? last.position : last.position - 1;
}

/** Stores members as long as there are more of them at one place: all of a room that we come to are. @returns the rest. */
async function storeMany(
  hs: Homeserver,
  members: readonly MovedMember[],
  openness: ReadonlyMap<number, boolean>,
): Promise<readonly MovedMember[]> {
  let page = members;
  for (let last = page.at(-1); last; last = page.at(-1)) {
    const { position } = last;
    if (page.length < BATCH || page[0]?.position !== position) break;
    const read = await readMembers(hs, page, openness);
    await hs.sql.begin(async (tx) => await storeMembers(tx, read));
    page = await nextMembers(hs, { after: last, upTo: position }, BATCH);
  }
  return page;
}

async function storeMembers(tx: Tx, { named, left }: ReadMembers): Promise<void> {
  await storeRemoteNames(tx, named);
  await forgetAbsent(tx, left);
}

/** Which of some rooms are open to anybody. Of those that nobody of ours is in we do not know who is in them now. */
async function opennessOf(
  hs: Homeserver,
  roomKeys: ReadonlySet<number>,
): Promise<Map<number, boolean>> {
  const resided = await residedRooms(hs, [...roomKeys]);
  const openness = new Map<number, boolean>();
  for (const roomKey of roomKeys) {
    openness.set(roomKey, resided.has(roomKey) && (await isOpenRoom(hs, roomKey)));
  }
  return openness;
}

/** Whether anybody may join a room, or look into it. */
async function isOpenRoom(hs: Homeserver, roomKey: number): Promise<boolean> {
  const root = await currentStateRoot(hs, roomKey);
  const state = await statesAt(hs, root, [
    ["m.room.join_rules", ""],
    ["m.room.history_visibility", ""],
  ]);
  const rules = state.get(pairKey("m.room.join_rules", ""))?.content;
  const visibility = state.get(pairKey("m.room.history_visibility", ""))?.content;
  return (
    rules?.["join_rule"] === "public" || visibility?.["history_visibility"] === "world_readable"
  );
}

type ReadMembers = { readonly named: readonly RemoteName[]; readonly left: readonly number[] };

async function readMembers(
  hs: Homeserver,
  members: readonly MovedMember[],
  openness: ReadonlyMap<number, boolean>,
): Promise<ReadMembers> {
  if (members.length === 0) return { named: [], left: [] };
  const open = await knownOpenRooms(hs, [...new Set(members.map((it) => it.room_key))]);
  const named = new Map<number, RemoteName>();
  const left = new Set<number>();
  for (const { user_key: userKey, user_id: userId, room_key, membership, json } of members) {
    const member = nameInMember(json);
    if (membership !== "join" || !member) {
      left.add(userKey);
      continue;
    }
    const isOpen = openness.get(room_key) ?? open.has(room_key);
    if (named.get(userKey)?.isOpen && !isOpen) continue;
    named.set(userKey, remoteName({ userKey, userId }, member, isOpen));
  }
  return { named: [...named.values()], left: [...left] };
}

function remoteName(
  { userKey, userId }: { readonly userKey: number; readonly userId: UserId },
  { displayname, avatar_url }: NameInMember,
  isOpen: boolean,
): RemoteName {
  return {
    userKey,
    displayname: displayname ?? null,
    avatarUrl: avatar_url ?? null,
    words: wordsOfUser(userId, displayname),
    isOpen,
  };
}
