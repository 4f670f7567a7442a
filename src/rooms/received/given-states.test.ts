import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memberDraft, message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { stateEvent } from "../current-state.ts";
import { findEvent } from "../find-event.ts";
import { EventStatus } from "../stored-event.ts";
import { receive, receivedRoom, RemoteRoom } from "./testing.ts";

let servers: TestHomeservers;
let hs: Homeserver;
beforeAll(async () => {
  servers = await testHomeservers(1);
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

const [CREATOR, BOB, CAROL, DAVE]: readonly [UserId, UserId, UserId, UserId] = [
  "@creator:one.test",
  "@bob:two.test",
  "@carol:three.test",
  "@dave:four.test",
];
let rooms = 0;

/** A room from which somebody has been banned, as this server knows it. */
async function roomWithBan(version: string) {
  const remote = new RemoteRoom(version, `given${rooms++}`);
  const joined = remote.add(BOB, memberDraft(BOB, "join"), [remote.begin(CREATOR)]);
  const unbanned = remote.add(CAROL, memberDraft(CAROL, "join"), [joined]);
  const banned = remote.add(CREATOR, memberDraft(CAROL, "ban"), [unbanned]);
  const room = await receivedRoom(hs, remote);
  const receiveWith = async (
    ids: readonly EventId[],
    states: ReadonlyMap<EventId, readonly EventId[]>,
  ) => await receive(hs, { room, remote }, ids, { as: "live", states, doubtsStates: true });
  /** The state before the ban. */
  const forged = [...remote.stateAfter([unbanned]).values()];
  const standing = async (user = CAROL) =>
    (await stateEvent(hs, room.roomKey, "m.room.member", user))?.eventId;
  return { remote, unbanned, banned, receiveWith, forged, standing };
}

describe.each(["2", "6", "11", "12"])(
  "in a room of version %s, a state that is given",
  (version) => {
    test("undoes nothing that other events are known to lead to", async () => {
      const { remote, unbanned, banned, receiveWith, forged, standing } =
        await roomWithBan(version);
      const lost = remote.add(BOB, message("lost"), [unbanned]);
      const next = remote.add(BOB, message("next"), [banned, lost]);
      await receiveWith([next], new Map([[next, forged]]));
      expect((await findEvent(hs, next))?.status).toBe(EventStatus.accepted);
      expect(await standing()).toBe(banned);
    });

    test("undoes nothing when what follows has come before what leads to it", async () => {
      const { remote, banned, receiveWith, forged, standing } = await roomWithBan(version);
      const late = remote.add(BOB, message("late"), [banned]);
      const next = remote.add(BOB, message("next"), [late]);
      await receiveWith([next], new Map([[next, forged]]));
      expect((await findEvent(hs, next))?.status).toBe(EventStatus.accepted);
      expect(await standing()).toBe(banned);
      await receiveWith([late], new Map());
      expect(await standing()).toBe(banned);
    });

    test("takes nobody from the room when what leads to an event comes late", async () => {
      const { remote, unbanned, banned, receiveWith, standing } = await roomWithBan(version);
      const fork = remote.add(BOB, message("late"), [unbanned]);
      const next = remote.add(BOB, message("next"), [fork]);
      await receiveWith([next], new Map([[next, [...remote.stateAfter([fork]).values()]]]));
      const came = remote.add(DAVE, memberDraft(DAVE, "join"), [banned, next]);
      const closes = { type: "m.room.join_rules", state_key: "", content: { join_rule: "invite" } };
      const closed = remote.add(CREATOR, closes, [came]);
      await receiveWith([came, closed], new Map());
      await receiveWith([fork], new Map());
      expect(await standing(DAVE)).toBe(came);
    });

    test("counts for nothing where it has become known what leads to the event", async () => {
      const { remote, banned, receiveWith, forged, standing } = await roomWithBan(version);
      const next = remote.add(BOB, message("next"), [banned]);
      await receiveWith([next], new Map([[next, forged]]));
      expect((await findEvent(hs, next))?.status).toBe(EventStatus.accepted);
      expect(await standing()).toBe(banned);
    });
  },
);
