/** For tests alone: a room of which something is thought that turns out to be otherwise once its members are known. */

import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { forkedRoom } from "../received/testing-forks.ts";
import { deliverBatch } from "../received/testing.ts";
import { complete, enterPartially } from "./testing.ts";

/** Comes to such a room. @param isLate whether what is said in it waits for what it follows. */
export async function misjudgedRoom(hs: Homeserver, { isLate = false } = {}) {
  const { room: remote, basis } = forkedRoom("12", []);
  const before = basis.at(-2) ?? "$";
  const bob: UserId = "@bob:two.test";
  const carol: UserId = "@carol:three.test";
  const local: UserId = "@local:test";
  const member = (user: UserId, membership: string) => ({
    type: "m.room.member",
    state_key: user,
    content: { membership },
  });
  // That bob has gone is not said by who tells us of the room without its members.
  const gone = remote.add(bob, member(bob, "leave"), [before]);
  const own = remote.add(local, member(local, "join"), [gone]);
  const { room, ...known } = await enterPartially(hs, remote, [...basis.slice(0, -1), gone, own]);
  const text = (body: string) => ({ type: "m.room.message", content: { body } });
  const mention = { "m.mentions": { user_ids: [local] } };
  const straying = { type: "m.room.message", content: { body: "stray", ...mention } };
  const stray = remote.add(bob, straying, [own], [before]);
  const kick = remote.add(bob, member(carol, "leave"), [stray], [before]);
  const said = remote.add(carol, text("said"), [kick]);
  const batches = isLate ? [[kick], [said], [stray]] : [[stray, kick, said]];
  for (const batch of batches) await deliverBatch(hs, room, remote, batch);
  return {
    room,
    /** What seems to be part of the room, and is not. */
    stray: stray as EventId,
    /** What seems to be none, and is. */
    said: said as EventId,
    complete: async () => await complete(hs, room, remote, known),
  };
}
