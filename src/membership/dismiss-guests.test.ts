import { afterAll, beforeAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
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

const E = encodeURIComponent;
const signal = new AbortController().signal;

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
  expect(await guestRoomsToLookAt(hs.sql, 10)).toEqual([]);

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
