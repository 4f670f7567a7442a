import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { stateEvent } from "../current-state.ts";
import { findEvent } from "../find-event.ts";
import { EventStatus } from "../stored-event.ts";
import { ensureRoom } from "./ensure-room.ts";
import { receiveEvents } from "./receive-events.ts";
import { RemoteRoom } from "./testing.ts";

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

const becomes = (user: UserId, membership: string) => ({
  type: "m.room.member",
  state_key: user,
  content: { membership },
});
const says = (body: string) => ({ type: "m.room.message", content: { body } });

/** A room from which somebody has been banned, as this server knows it. */
async function roomWithBan(version: string) {
  const remote = new RemoteRoom(version, `given${rooms++}`);
  const joined = remote.add(BOB, becomes(BOB, "join"), [remote.begin(CREATOR)]);
  const unbanned = remote.add(CAROL, becomes(CAROL, "join"), [joined]);
  const banned = remote.add(CREATOR, becomes(CAROL, "ban"), [unbanned]);
  if (remote.roomId === undefined) throw new Error("a room has no ID");
  const room = await ensureRoom(hs, remote.roomId, remote.rules);
  const receive = async (
    ids: readonly EventId[],
    given: ReadonlyMap<EventId, readonly EventId[]>,
  ) =>
    await receiveEvents(
      hs,
      room,
      ids.map((id) => remote.received(id)),
      { as: "live", states: given, doubtsStates: true },
    );
  await receive([...remote.events.keys()], new Map());
  /** The state before the ban. */
  const forged = [...remote.stateAfter([unbanned]).values()];
  const standing = async (user = CAROL) =>
    (await stateEvent(hs, room.roomKey, "m.room.member", user))?.eventId;
  return { remote, unbanned, banned, receive, forged, standing };
}

describe.each(["2", "6", "11", "12"])(
  "in a room of version %s, a state that is given",
  (version) => {
    test("undoes nothing that other events are known to lead to", async () => {
      const { remote, unbanned, banned, receive, forged, standing } = await roomWithBan(version);
      const lost = remote.add(BOB, says("lost"), [unbanned]);
      const next = remote.add(BOB, says("next"), [banned, lost]);
      await receive([next], new Map([[next, forged]]));
      expect((await findEvent(hs, next))?.status).toBe(EventStatus.accepted);
      expect(await standing()).toBe(banned);
    });

    test("undoes nothing when what follows has come before what leads to it", async () => {
      const { remote, banned, receive, forged, standing } = await roomWithBan(version);
      const late = remote.add(BOB, says("late"), [banned]);
      const next = remote.add(BOB, says("next"), [late]);
      await receive([next], new Map([[next, forged]]));
      expect((await findEvent(hs, next))?.status).toBe(EventStatus.accepted);
      expect(await standing()).toBe(banned);
      await receive([late], new Map());
      expect(await standing()).toBe(banned);
    });

    test("takes nobody from the room when what leads to an event comes late", async () => {
      const { remote, unbanned, banned, receive, standing } = await roomWithBan(version);
      const fork = remote.add(BOB, says("late"), [unbanned]);
      const next = remote.add(BOB, says("next"), [fork]);
      await receive([next], new Map([[next, [...remote.stateAfter([fork]).values()]]]));
      const came = remote.add(DAVE, becomes(DAVE, "join"), [banned, next]);
      const closes = { type: "m.room.join_rules", state_key: "", content: { join_rule: "invite" } };
      const closed = remote.add(CREATOR, closes, [came]);
      await receive([came, closed], new Map());
      await receive([fork], new Map());
      expect(await standing(DAVE)).toBe(came);
    });

    test("counts for nothing where it has become known what leads to the event", async () => {
      const { remote, banned, receive, forged, standing } = await roomWithBan(version);
      const next = remote.add(BOB, says("next"), [banned]);
      await receive([next], new Map([[next, forged]]));
      expect((await findEvent(hs, next))?.status).toBe(EventStatus.accepted);
      expect(await standing()).toBe(banned);
    });
  },
);
