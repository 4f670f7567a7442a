import { describe, expect, test } from "vitest";
import { type ClientEvent, invitedRoom } from "../answers.ts";
import { PROCESSES } from "../shared-homeservers.ts";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const limited = await homeserver({
  ARCHIPEL_RATE_LIMITS_ENABLED: "true",
  ARCHIPEL_RATE_LIMITS_INVITE_BURST: "3",
  ARCHIPEL_RATE_LIMITS_INVITE_PER_SECOND: "0.001",
});
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const stateOf = async (roomId: string): Promise<readonly ClientEvent[]> =>
  (await alice.call<readonly ClientEvent[]>("GET", `/v3/rooms/${roomId}/state`)).body;
const contentOf = (state: readonly ClientEvent[], type: string, stateKey = "") =>
  state.find((it) => it.type === type && it.state_key === stateKey)?.content;

/** @spec client-server-api#post_matrixclientv3createroom */
describe("createRoom", () => {
  test.each([
    { preset: "private_chat", joinRule: "invite", guests: "can_join", inviting: 0 },
    { preset: "trusted_private_chat", joinRule: "invite", guests: "can_join", inviting: 0 },
    { preset: "public_chat", joinRule: "public", guests: undefined, inviting: 50 },
  ])("sets up $preset as its preset says", async ({ preset, joinRule, guests, inviting }) => {
    const state = await stateOf(await alice.createRoom({ preset }));
    expect(contentOf(state, "m.room.join_rules")?.join_rule).toBe(joinRule);
    expect(contentOf(state, "m.room.history_visibility")?.history_visibility).toBe("shared");
    expect(contentOf(state, "m.room.guest_access")?.guest_access).toBe(guests);
    expect(contentOf(state, "m.room.power_levels")?.invite).toBe(inviting);
    expect(contentOf(state, "m.room.member", alice.userId)?.membership).toBe("join");
  });

  test.each(Array.from({ length: 12 }, (_, index) => String(index + 1)))(
    "makes a room of version %s that one can speak in",
    async (version) => {
      const roomId = await alice.createRoom({ room_version: version });
      const state = await stateOf(roomId);
      expect(contentOf(state, "m.room.create")?.room_version).toBe(version);
      expect(await alice.sendText(roomId, "hello")).toMatch(/^\$/);
    },
  );

  test("gives the room its name, topic, alias, own state and invitations", async () => {
    const roomId = await alice.createRoom({
      name: "A name",
      topic: "A topic",
      room_alias_name: `${alice.localpart}-room`,
      invite: [bob.userId],
      is_direct: true,
      initial_state: [{ type: "org.example.state", state_key: "k", content: { n: 1 } }],
      creation_content: { "m.federate": false },
      power_level_content_override: { events_default: 10 },
    });
    const state = await stateOf(roomId);
    expect(contentOf(state, "m.room.name")).toEqual({ name: "A name" });
    expect(contentOf(state, "m.room.topic")?.topic).toBe("A topic");
    const alias = `#${alice.localpart}-room:hs.test`;
    expect(contentOf(state, "m.room.canonical_alias")).toEqual({ alias });
    expect(contentOf(state, "m.room.member", bob.userId)).toMatchObject({
      membership: "invite",
      is_direct: true,
    });
    expect(contentOf(state, "org.example.state", "k")).toEqual({ n: 1 });
    expect(contentOf(state, "m.room.create")?.["m.federate"]).toBe(false);
    expect(contentOf(state, "m.room.power_levels")?.events_default).toBe(10);
    const invited = await bob.syncUntil((it) => roomId in (it.rooms?.invite ?? {}));
    const stripped = invitedRoom(invited, roomId);
    expect(stripped.map((it) => it.type)).toEqual(
      expect.arrayContaining(["m.room.create", "m.room.member", "m.room.name"]),
    );
  });

  test("lets those who are trusted rule with the creator, as the room version has it", async () => {
    const trusted = { preset: "trusted_private_chat", invite: [bob.userId] };
    const old = await stateOf(await alice.createRoom({ ...trusted, room_version: "11" }));
    const both = { [alice.userId]: 100, [bob.userId]: 100 };
    expect(contentOf(old, "m.room.power_levels")?.users).toEqual(both);
    const creation_content = { additional_creators: [bob.userId, "@carol:hs.test"] };
    const creators = await stateOf(
      await alice.createRoom({ ...trusted, room_version: "12", creation_content }),
    );
    expect(contentOf(creators, "m.room.create")).toMatchObject(creation_content);
    expect(contentOf(creators, "m.room.power_levels")?.users).toEqual({});
  });

  test("lets a room begin with the alias that it is made with as its canonical one", async () => {
    const localpart = `${alice.localpart}-canonical`;
    const content = { alias: `#${localpart}:hs.test` };
    const initial_state = [{ type: "m.room.canonical_alias", content }];
    const roomId = await alice.createRoom({ room_alias_name: localpart, initial_state });
    expect(contentOf(await stateOf(roomId), "m.room.canonical_alias")).toEqual(content);
  });

  test("makes as many rooms as are asked for at the same time", async () => {
    const rooms = await Promise.all(
      Array.from({ length: 24 }, async () => await alice.createRoom({ room_version: "12" })),
    );
    expect(new Set(rooms).size).toBe(24);
  });

  test("refuses what cannot be, and leaves nothing of it", async () => {
    const joinBy = (authoriser: string) => ({
      type: "m.room.member",
      state_key: alice.userId,
      content: { membership: "join", join_authorised_via_users_server: authoriser },
    });
    const localpart = `${alice.localpart}-taken`;
    await alice.createRoom({ room_alias_name: localpart });
    const before = (await alice.call("GET", "/v3/joined_rooms")).body.joined_rooms.length;
    const refused: [object, number, string][] = [
      [{ room_alias_name: localpart }, 400, "M_ROOM_IN_USE"],
      [{ room_version: "none" }, 400, "M_UNSUPPORTED_ROOM_VERSION"],
      [{ invite: ["bob"] }, 400, "M_INVALID_PARAM"],
      [{ preset: "no_chat" }, 400, "M_BAD_JSON"],
      // It would be an alias of the server b:hs.test.
      [{ room_alias_name: "a:b" }, 400, "M_INVALID_PARAM"],
      [
        {
          room_version: "12",
          preset: "trusted_private_chat",
          invite: [bob.userId],
          creation_content: { additional_creators: "everybody" },
        },
        400,
        "M_INVALID_ROOM_STATE",
      ],
      ...[
        [{ alias: "#nothing:hs.test" }, "M_BAD_ALIAS"] as const,
        [{ alt_aliases: ["#nothing:hs.test"] }, "M_BAD_ALIAS"] as const,
        [{ alt_aliases: "#nothing:hs.test" }, "M_INVALID_PARAM"] as const,
      ].map(([content, errcode]): [object, number, string] => [
        { initial_state: [{ type: "m.room.canonical_alias", content }] },
        400,
        errcode,
      ]),
      [
        { power_level_content_override: { users: { [bob.userId]: "high" } } },
        400,
        "M_INVALID_ROOM_STATE",
      ],
      ...[["@bob:hs$.test"], ["bob"]].map((creators): [object, number, string] => [
        {
          preset: "trusted_private_chat",
          invite: [bob.userId],
          creation_content: { additional_creators: creators },
        },
        400,
        "M_INVALID_ROOM_STATE",
      ]),
      [{ initial_state: [joinBy("@carol:elsewhere.test")] }, 400, "M_INVALID_ROOM_STATE"],
    ];
    for (const [body, status, errcode] of refused) {
      const answer = await alice.call("POST", "/v3/createRoom", body);
      expect(answer, JSON.stringify(body)).toMatchObject(refusal(status, errcode));
    }
    const after = (await alice.call("GET", "/v3/joined_rooms")).body.joined_rooms.length;
    expect(after).toBe(before);
  });

  // Each of several processes gives out its share of a limit.
  test.runIf(PROCESSES === 1)("counts whom it invites by its state, too", async () => {
    const eve = await limited.registerUser("eve");
    const invites = (name: string) => ({
      type: "m.room.member",
      state_key: `@${name}:hs.test`,
      content: { membership: "invite" },
    });
    const initial_state = ["a", "b", "c", "d", "e"].map(invites);
    expect((await eve.call("POST", "/v3/createRoom", { initial_state })).status).toBe(200);
    const again = { initial_state: [invites("f")] };
    const tooMany = refusal(429, "M_LIMIT_EXCEEDED");
    expect(await eve.call("POST", "/v3/createRoom", again)).toMatchObject(tooMany);
  });

  test.runIf(PROCESSES === 1)("counts whom it invites like other invitations", async () => {
    const mallory = await limited.registerUser("mallory");
    const invite = ["a", "b", "c", "d", "d"].map((it) => `@${it}:hs.test`);
    const tooMany = refusal(429, "M_LIMIT_EXCEEDED");
    const { status, body } = await mallory.call("POST", "/v3/createRoom", { invite });
    expect(status).toBe(200);
    const again = { invite: ["@e:hs.test"] };
    expect(await mallory.call("POST", "/v3/createRoom", again)).toMatchObject(tooMany);
    const path = `/v3/rooms/${body.room_id}/invite`;
    expect(await mallory.call("POST", path, { user_id: "@e:hs.test" })).toMatchObject(tooMany);
    const member = `/v3/rooms/${body.room_id}/state/m.room.member/@e:hs.test`;
    expect(await mallory.call("PUT", member, { membership: "invite" })).toMatchObject(tooMany);
    const later = `/unstable/org.matrix.msc4140/rooms/${body.room_id}/delayed_event/m.room.member/1`;
    const content = { membership: "invite" };
    const invitation = { delay_ms: 60_000, state_key: "@e:hs.test", content };
    expect(await mallory.call("PUT", later, invitation)).toMatchObject(tooMany);
    expect((await mallory.call("POST", "/v3/createRoom", {})).status).toBe(200);
  });
});
