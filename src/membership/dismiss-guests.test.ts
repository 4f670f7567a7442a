import { afterAll, beforeAll, expect, test } from "vitest";
import { signEvent } from "#src/events/event-signatures.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { dismissGuests } from "./job-dismiss-guests.ts";
import { guestRoomsToLookAt } from "./queries-guests.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let ask: Ask;

beforeAll(async () => {
  servers = await testHomeservers(1, {
    ...LENIENT,
    ARCHIPEL_REGISTRATION_GUESTS_ALLOWED: "true",
  });
  ({ hs } = servers);
  ask = asking(hs);
});
afterAll(async () => await servers.close());

const rules = ROOM_VERSIONS.get("12") as RoomVersionRules;
const E = encodeURIComponent;
const signal = new AbortController().signal;

const run = async () => await dismissGuests.run(hs, signal);

test("guests leave a room that lets none in any more, and nobody else does", async () => {
  const [host, other] = [await registered(ask, "host"), await registered(ask, "other")];
  const guest = (await ask("POST", "register?kind=guest", { body: {} })).body;
  const access = (guest_access: string) => ({ guest_access });
  const made = await ask("POST", "createRoom", {
    token: host.access_token,
    body: {
      preset: "public_chat",
      initial_state: [{ type: "m.room.guest_access", state_key: "", content: access("can_join") }],
    },
  });
  expect(made.body).toEqual({ room_id: expect.any(String) });
  const roomId = made.body.room_id as string;
  for (const { access_token: token } of [guest, other]) {
    expect((await ask("POST", `join/${E(roomId)}`, { token, body: {} })).status).toBe(200);
  }
  const joined = async () => {
    const path = `rooms/${E(roomId)}/joined_members`;
    const answer = await ask("GET", path, { token: host.access_token });
    return Object.keys(answer.body.joined as object).toSorted();
  };
  const ids: string[] = [host.user_id, other.user_id, guest.user_id];
  const all = ids.toSorted();

  await dismissGuests.run(hs, signal);
  expect(await joined()).toEqual(all);
  // What has been looked at is not looked at again, until something changes.
  expect(await guestRoomsToLookAt(hs.sql, { now: hs.now(), most: 10 })).toEqual([]);

  await ask("PUT", `rooms/${E(roomId)}/state/m.room.guest_access/`, {
    token: host.access_token,
    body: access("forbidden"),
  });
  await dismissGuests.run(hs, signal);
  expect(await joined()).toEqual(all.filter((it) => it !== guest.user_id));
  const member = `rooms/${E(roomId)}/state/m.room.member/${E(guest.user_id as string)}`;
  const left = await ask("GET", member, { token: host.access_token });
  expect(left.body).toEqual({ membership: "leave" });

  await dismissGuests.run(hs, signal);
  expect(await hs.sql`select from guest_rooms`).toHaveLength(0);
});

test("a guest who cannot be made to leave now is made to leave later", async () => {
  const { access_token: token } = await registered(ask, "policed");
  const guest = (await ask("POST", "register?kind=guest", { body: {} })).body;
  const made = await ask("POST", "createRoom", { token, body: { preset: "public_chat" } });
  const path = `rooms/${E(made.body.room_id as string)}`;
  const setState = async (type: string, body: object) =>
    await ask("PUT", `${path}/state/${type}/`, { token, body });
  await setState("m.room.guest_access", { guest_access: "can_join" });
  await ask("POST", `join/${E(made.body.room_id as string)}`, {
    token: guest.access_token,
    body: {},
  });
  await setState("m.room.guest_access", { guest_access: "forbidden" });
  const { publicKey } = signingKeyFromSeed("ed25519:policy_server", Buffer.alloc(32, 7));
  const public_keys = { ed25519: unpaddedBase64(publicKey) };
  await setState("m.room.policy", { via: hs.name, public_keys });
  const { askPolicyServerToSign } = hs.remotes;
  const silent: Remotes["askPolicyServerToSign"] = async () =>
    await Promise.resolve({ ok: false, why: "unreachable", cause: "silence" });
  Object.assign(hs.remotes, { askPolicyServerToSign: silent });
  const isIn = async () => {
    const { joined } = (await ask("GET", `${path}/joined_members`, { token })).body;
    return Object.hasOwn(joined as object, guest.user_id as string);
  };
  await run();
  expect(await isIn()).toBe(true);
  // Not at once, and less often the longer it takes.
  const waits = async (stuckMs: number) => {
    await hs.sql`update guest_rooms set due_ms = 1, stuck_since_ms = ${hs.now() - stuckMs}`;
    await run();
    const [row] = await hs.sql<{ due: number }[]>`select due_ms as due from guest_rooms`;
    return Math.round(((row?.due ?? 0) - hs.now()) / 60_000);
  };
  expect(await guestRoomsToLookAt(hs.sql, { now: hs.now(), most: 10 })).toEqual([]);
  expect(await waits(1_000)).toBe(1);
  expect(await waits(8 * 60 * 60_000)).toBe(120);
  const signs: Remotes["askPolicyServerToSign"] = async (server, { event }) => {
    const key = signingKeyFromSeed("ed25519:policy_server", Buffer.alloc(32, 7));
    const { signatures } = signEvent(event, rules, server, key);
    const own = (signatures as Record<string, Record<string, string>>)[server] ?? {};
    return await Promise.resolve({
      ok: true,
      body: new Map([[server, new Map([[key.keyId, own[key.keyId] ?? ""]])]]),
    });
  };
  Object.assign(hs.remotes, { askPolicyServerToSign: signs });
  await hs.sql`update guest_rooms set due_ms = 1`;
  await run();
  expect(await isIn()).toBe(false);
  Object.assign(hs.remotes, { askPolicyServerToSign });
});
