import { expect, test } from "vitest";
import { answersFrom } from "#federation/inbound/testing.ts";
import { memberDraft, message } from "#src/events/testing.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import { holedFederation, pages } from "#src/rooms/holes/testing.ts";
import { joinedRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { testUser } from "#src/testing.ts";
import { recordReceipts } from "./record-receipts.ts";
import { roomReceipts } from "./room-receipts.ts";

const { hs, peer } = await holedFederation();

test.each(["joined", "shared"])(
  "of what was said before they came, and is fetched later, those are told who may know (%s)",
  async (history_visibility) => {
    const visibility = {
      type: "m.room.history_visibility",
      state_key: "",
      content: { history_visibility },
    };
    const remote = new RemoteRoom("12", history_visibility);
    const userId = peer.user("creator");
    const last = remote.add(userId, visibility, [remote.begin(userId)]);
    const state = [...remote.events.keys()];
    const said = remote.add(userId, message("before"), [last]);
    const member: UserId = `@local:${hs.name}`;
    const joined = remote.add(member, memberDraft(member, "join"), [said]);
    const room = await joinedRoom(hs, remote, joined, state);
    peer.answer(answersFrom(remote));
    await pages(hs, { room }, 20);
    expect((await findEvents(hs, [said])).get(said)?.anchorOffset).toBeLessThan(0);

    const userKey = await userKeyOf(hs, userId);
    await recordReceipts(hs, [
      { room, userId, userKey, eventIds: [said], thread: undefined, ts: 1 },
    ]);
    const local = await testUser(hs, "local");
    const asked = { roomKey: room.roomKey, after: 0, eventKeys: [] };
    const told = JSON.stringify([...(await roomReceipts(hs, local, [asked]))]);
    expect(told.includes(said)).toBe(history_visibility === "shared");
  },
);
