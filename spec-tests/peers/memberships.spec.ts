import { describe, expect, test } from "vitest";
import type { ClientEvent } from "../answers.ts";
import { lacksPair, type Peer, sharedPair } from "./pair.ts";
import {
  E,
  eventually,
  expectRefusal,
  type Person,
  personAt,
  textsOf,
  WITH_TIME,
} from "./person.ts";

const isLacking = await lacksPair();

/** All of them, as long as the other server has them too: the first test says so. */
const ALL_VERSIONS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

/** The first and the last, where a test run is waited for. */
const VERSIONS = process.env["CI"] ? ALL_VERSIONS : ["1", "12"];

const WITH_KNOCKS = VERSIONS.filter((it) => Number(it) >= 7);
const WITH_RESTRICTED = VERSIONS.filter((it) => Number(it) >= 8);

describe.skipIf(isLacking)("room versions", () => {
  test(
    "are those that Synapse has",
    async () => {
      const { synapse } = await sharedPair();
      const user = await personAt(synapse, "version");
      const { capabilities } = await user.does("GET", "/v3/capabilities");
      const offered = Object.keys(capabilities["m.room_versions"]?.["available"] ?? {});
      expect(ALL_VERSIONS.filter((it) => offered.includes(it))).toEqual(ALL_VERSIONS);
    },
    WITH_TIME,
  );
});

type Stage = {
  readonly there: Peer;
  readonly owner: Person;
  readonly guest: Person;
};

describe.skipIf(isLacking).each(["ours", "synapse"] as const)("a room of %s", (there) => {
  const newStage = async (): Promise<Stage> => {
    const pair = await sharedPair();
    const [owner, guest] = await Promise.all([
      personAt(pair[there], "owner"),
      personAt(pair[there === "ours" ? "synapse" : "ours"], "guest"),
    ]);
    return { there: pair[there], owner, guest };
  };

  /** Both servers have the same state, by the IDs of its events. */
  const expectSameState = async ({ owner, guest }: Stage, roomId: string) => {
    const idsFor = async (person: Person) => {
      const path = `/v3/rooms/${E(roomId)}/state`;
      const state = await person.does<readonly ClientEvent[]>("GET", path);
      return state.map((it) => `${it.type} ${it.state_key} ${it.event_id}`).toSorted();
    };
    await eventually(async () => await idsFor(guest), await idsFor(owner));
  };

  const comesTo = async (see: Person, roomId: string, whose: Person, membership: string) =>
    await eventually(async () => await see.membershipOf(whose, roomId), membership);

  const invitesOf = async (person: Person) => {
    const { rooms } = await person.does("GET", "/v3/sync");
    return rooms?.invite ?? {};
  };
  const comesToLeave = async (person: Person, roomId: string) =>
    await eventually(async () => {
      const filter = { room: { include_leave: true, timeline: { limit: 1 } } };
      const { rooms } = await person.does("GET", `/v3/sync?filter=${E(JSON.stringify(filter))}`);
      return Object.keys(rooms?.leave ?? {}).includes(roomId);
    }, true);

  test.concurrent.each(VERSIONS)(
    "is joined by its alias from elsewhere, and left again: version %s",
    async (room_version) => {
      const stage = await newStage();
      const { owner, guest } = stage;
      const alias = `#of-${owner.localpart}:${owner.home.serverName}`;
      const roomId = await owner.createRoom({
        preset: "public_chat",
        room_alias_name: `of-${owner.localpart}`,
        name: "Harbour",
        room_version,
      });
      await owner.say(roomId, "before");
      expect(await guest.join(alias)).toBe(roomId);
      await comesTo(owner, roomId, guest, "join");
      await expectSameState(stage, roomId);
      await owner.say(roomId, "from its owner");
      await eventually(async () => textsOf(await guest.newest(roomId)).at(-1), "from its owner");
      await guest.say(roomId, "from the guest");
      const said = ["before", "from its owner", "from the guest"];
      for (const person of [owner, guest]) {
        await eventually(async () => textsOf(await person.newest(roomId)), said);
      }
      await guest.leave(roomId);
      await comesTo(owner, roomId, guest, "leave");
      // By its ID, as who was there knows it.
      await guest.join(roomId, stage.there);
      await comesTo(owner, roomId, guest, "join");
      await expectSameState(stage, roomId);
    },
    WITH_TIME,
  );

  test.concurrent.each(VERSIONS)(
    "has guests from elsewhere, who are invited, decline, come, are kicked and banned: version %s",
    async (room_version) => {
      const stage = await newStage();
      const { owner, guest } = stage;
      const roomId = await owner.createRoom({
        preset: "private_chat",
        name: "Cabin",
        room_version,
      });
      expectRefusal(
        await guest.call("POST", `/v3/join/${E(roomId)}?via=${owner.home.serverName}`, {}),
        "M_FORBIDDEN",
      );

      await owner.act("invite", roomId, guest);
      await eventually(async () => Object.keys(await invitesOf(guest)), [roomId]);
      const told = (await invitesOf(guest))[roomId]?.invite_state.events;
      expect(told?.find((it) => it.type === "m.room.name")?.content).toEqual({ name: "Cabin" });
      await guest.leave(roomId);
      await comesTo(owner, roomId, guest, "leave");
      expect(await invitesOf(guest)).toEqual({});

      await owner.act("invite", roomId, guest);
      await eventually(async () => Object.keys(await invitesOf(guest)), [roomId]);
      await guest.join(roomId);
      await comesTo(owner, roomId, guest, "join");
      await expectSameState(stage, roomId);

      await owner.act("kick", roomId, guest);
      await comesToLeave(guest, roomId);
      await owner.act("invite", roomId, guest);
      await eventually(async () => Object.keys(await invitesOf(guest)), [roomId]);
      await guest.join(roomId);
      await comesTo(owner, roomId, guest, "join");
      // A Synapse that is banned before it has got all of the room's state gets it from nobody, and then does not tell
      // its user of the ban either.
      await expectSameState(stage, roomId);

      await owner.act("ban", roomId, guest);
      await comesToLeave(guest, roomId);
      expectRefusal(
        await guest.call("POST", `/v3/join/${E(roomId)}?via=${owner.home.serverName}`, {}),
        "M_FORBIDDEN",
      );
      await owner.act("unban", roomId, guest);
      // An invitation that is taken back is none.
      await owner.act("invite", roomId, guest);
      await eventually(async () => Object.keys(await invitesOf(guest)), [roomId]);
      await owner.act("kick", roomId, guest);
      await eventually(async () => await invitesOf(guest), {});
    },
    WITH_TIME,
  );

  test.concurrent.each(WITH_KNOCKS)(
    "is knocked on from elsewhere, in vain and not: version %s",
    async (room_version) => {
      const { owner, guest } = await newStage();
      const roomId = await owner.createRoom({
        name: "Gate",
        room_version,
        initial_state: [
          { type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } },
        ],
      });
      const knock = async () => {
        const path = `/v3/knock/${E(roomId)}?via=${E(owner.home.serverName)}`;
        await guest.does("POST", path, { reason: "open" });
        await comesTo(owner, roomId, guest, "knock");
      };
      const knocksOf = async () => (await guest.does("GET", "/v3/sync")).rooms?.knock ?? {};
      await knock();
      expect((await owner.stateOf(roomId, "m.room.member", guest.userId)).reason).toBe("open");
      const told = (await knocksOf())[roomId]?.knock_state.events;
      expect(told?.find((it) => it.type === "m.room.name")?.content).toEqual({ name: "Gate" });
      await guest.leave(roomId);
      expect(await knocksOf()).toEqual({});
      // Synapse 1.163 retracts a knock at home alone, where it could tell a resident server.
      // @spec server-server-api#leaving-rooms-rejecting-invites
      if (there === "synapse") await comesTo(owner, roomId, guest, "leave");

      // Synapse 1.163 neither tells who is not in the room that a knock is refused, nor hears of it.
      await knock();
      await owner.act("kick", roomId, guest);
      await knock();
      await owner.act("invite", roomId, guest);
      await eventually(async () => Object.keys(await invitesOf(guest)), [roomId]);
      await guest.join(roomId);
      await comesTo(owner, roomId, guest, "join");
    },
    WITH_TIME,
  );

  test.concurrent.each(WITH_RESTRICTED)(
    "is restricted to who is in another: version %s",
    async (room_version) => {
      const { owner, guest } = await newStage();
      const club = await owner.createRoom({ preset: "public_chat", room_version });
      const allow = [{ type: "m.room_membership", room_id: club }];
      const roomId = await owner.createRoom({
        room_version,
        initial_state: [
          { type: "m.room.join_rules", state_key: "", content: { join_rule: "restricted", allow } },
        ],
      });
      const path = `/v3/join/${E(roomId)}?via=${E(owner.home.serverName)}`;
      expectRefusal(await guest.call("POST", path, {}), "M_FORBIDDEN");
      await guest.join(club, owner.home);
      await comesTo(owner, club, guest, "join");
      await guest.join(roomId, owner.home);
      await comesTo(owner, roomId, guest, "join");
      const member = await owner.stateOf(roomId, "m.room.member", guest.userId);
      expect(member.join_authorised_via_users_server).toBe(owner.userId);
      await guest.say(roomId, "let in");
      await eventually(async () => textsOf(await owner.newest(roomId)), ["let in"]);
    },
    WITH_TIME,
  );
});
