import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { currentStateRoot, statesAt } from "#src/rooms/current-state.ts";
import { pairKey } from "#src/rooms/state-slots.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { wordsOfUser } from "./directory-words.ts";
import {
  advanceDirectory,
  type DirectoryEvent,
  directoryProgress,
  forgetAbsent,
  knownOpenRooms,
  nextDirectoryEvents,
  type RemoteName,
  setOpenRooms,
  storeRemoteNames,
} from "./queries-directory.ts";

const BATCH = 500;

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
  const progress = await directoryProgress(hs);
  if (progress.done >= progress.upTo) return "done";
  const events = await nextDirectoryEvents(hs, progress, BATCH);
  const isLast = events.length < BATCH;
  const to = isLast ? progress.upTo : (events.at(-1)?.event_key ?? progress.upTo);

  const members = events.filter((it) => it.type === "m.room.member");
  const others = events.filter((it) => it.type !== "m.room.member");
  const openness = new Map<number, boolean>();
  for (const roomKey of new Set(others.map((it) => it.room_key))) {
    openness.set(roomKey, await isOpenRoom(hs, roomKey));
  }
  const { named, left } = await readMembers(hs, members, openness);
  await hs.sql.begin(async (tx) => {
    if (!(await advanceDirectory(tx, { from: progress.done, to }))) return;
    await setOpenRooms(tx, openness);
    await storeRemoteNames(tx, named);
    await forgetAbsent(tx, left);
  });
  return isLast ? "done" : "more";
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

/** What we read of a member event. Whatever is no text counts as left out. */
const Member = z.object({
  content: z.object({
    membership: z.string(),
    displayname: z.string().optional().catch(undefined),
    avatar_url: z.string().optional().catch(undefined),
  }),
});

async function readMembers(
  hs: Homeserver,
  events: readonly DirectoryEvent[],
  openness: ReadonlyMap<number, boolean>,
): Promise<{ named: RemoteName[]; left: number[] }> {
  if (events.length === 0) return { named: [], left: [] };
  const open = await knownOpenRooms(hs, [...new Set(events.map((it) => it.room_key))]);
  const keys = await findUserKeys(
    hs,
    events.map((it) => it.state_key as UserId),
  );
  const named = new Map<number, RemoteName>();
  const left = new Set<number>();
  for (const { room_key, state_key, json } of events) {
    const userKey = keys.get(state_key as UserId);
    const member = Member.safeParse(JSON.parse(json)).data?.content;
    if (userKey === undefined || !member) continue;
    if (member.membership !== "join") {
      left.add(userKey);
      continue;
    }
    const isOpen = openness.get(room_key) ?? open.has(room_key);
    if (named.get(userKey)?.isOpen && !isOpen) continue;
    named.set(userKey, remoteName({ userKey, userId: state_key as UserId }, member, isOpen));
  }
  return { named: [...named.values()], left: [...left] };
}

function remoteName(
  { userKey, userId }: { readonly userKey: number; readonly userId: UserId },
  { displayname, avatar_url }: z.infer<typeof Member>["content"],
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
