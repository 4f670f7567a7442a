import { afterAll, expect, test } from "vitest";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { register, registered } from "#src/testing-http.ts";
import { testUser } from "#src/testing.ts";
import { finishDeactivations } from "./leave-rooms.ts";
import { login, passwordAuth, openHouse } from "./testing.ts";

const { hs, ask, close } = await openHouse();
afterAll(close);

test("a deactivated account is out of its rooms, and its name is never free again", async () => {
  const { access_token: token } = await registered(ask, "leaver");
  const owner = (await registered(ask, "owner")).access_token;
  const rooms: string[] = [];
  for (let index = 0; index < 3; index++) {
    const body = { preset: "public_chat" };
    const { room_id } = (await ask("POST", "createRoom", { token: owner, body })).body;
    await ask("POST", `join/${room_id}`, { token, body: {} });
    rooms.push(room_id);
  }
  const backup = { algorithm: "m.test", auth_data: {} };
  await ask("POST", "room_keys/version", { token, body: backup });
  const key = { user_id: "@leaver:test", usage: ["master"], keys: { "ed25519:abc": "abc" } };
  const published = { token, body: { master_key: key } };
  expect((await ask("POST", "keys/device_signing/upload", published)).status).toBe(200);

  const wrong = passwordAuth("leaver", "wrong-one");
  expect((await ask("POST", "account/deactivate", { token, body: wrong })).status).toBe(401);
  const right = { ...passwordAuth("leaver"), erase: true };
  expect(await ask("POST", "account/deactivate", { token, body: right })).toMatchObject({
    status: 200,
    body: { id_server_unbind_result: "success" },
  });
  expect((await ask("GET", "account/whoami", { token })).status).toBe(401);
  expect((await login(ask, "leaver")).status).toBe(403);
  expect((await register(ask, "leaver")).body.errcode).toBe("M_USER_IN_USE");
  expect((await ask("GET", "profile/@leaver:test")).body).toEqual({});
  const query = { token: owner, body: { device_keys: { "@leaver:test": [] } } };
  expect((await ask("POST", "keys/query", query)).body.master_keys).toEqual({});
  const backups = await hs.sql`
    select 1 from key_backups join users using (user_key) where user_id = '@leaver:test'`;
  expect(backups).toEqual([]);

  await finishDeactivations.run(hs, new AbortController().signal);
  for (const roomId of rooms) {
    const path = `rooms/${roomId}/state/m.room.member/@leaver:test`;
    expect((await ask("GET", path, { token: owner })).body.membership).toBe("leave");
  }
});

test("an account that cannot be brought to its end keeps no other from it", async () => {
  await registered(ask, "stuck");
  await registered(ask, "behind");
  const keys = await hs.sql<{ user_key: number; user_id: string }[]>`
    update accounts set leaving_after = 0 from users
    where users.user_key = accounts.user_key and user_id in ('@stuck:test', '@behind:test')
    returning users.user_key, user_id`;
  const stuck = keys.find((it) => it.user_id === "@stuck:test")?.user_key;
  await hs.sql.unsafe(`
    create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'refused'; end $$;
    create trigger refusing before update on accounts for each row
      when (old.user_key = ${stuck}) execute function refuse()`);
  expect(await finishDeactivations.run(hs, new AbortController().signal)).toBe("done");
  const left = () =>
    hs.sql`select user_key from accounts where leaving_after is not null order by user_key`;
  expect(await left()).toEqual([{ user_key: stuck }]);
  await hs.sql.unsafe("drop function refuse cascade");
  await finishDeactivations.run(hs, new AbortController().signal);
  expect(await left()).toEqual([]);
});

/** A room of others that `userId` is in, and whose policy server, which is this one, says what it is to. */
async function policedRoom(owner: string, token: string): Promise<string> {
  const { room_id } = (
    await ask("POST", "createRoom", { token: owner, body: { preset: "public_chat" } })
  ).body;
  await ask("POST", `join/${room_id}`, { token, body: {} });
  const { publicKey } = signingKeyFromSeed("ed25519:policy_server", Buffer.alloc(32, 7));
  const policy = { via: hs.name, public_keys: { ed25519: unpaddedBase64(publicKey) } };
  await ask("PUT", `rooms/${room_id}/state/m.room.policy/`, { token: owner, body: policy });
  return room_id as string;
}

const run = async () => await finishDeactivations.run(hs, new AbortController().signal);

test("a room that cannot be left now is left later", async () => {
  const owner = (await registered(ask, "owner-of-policed")).access_token;
  const { access_token: token } = await registered(ask, "detained");
  const roomId = await policedRoom(owner, token);
  let asked = 0;
  const askPolicyServerToSign: Remotes["askPolicyServerToSign"] = async () => {
    asked++;
    return await Promise.resolve({ ok: false, why: "unreachable", cause: "silence" });
  };
  Object.assign(hs.remotes, { askPolicyServerToSign });
  await ask("POST", "account/deactivate", { token, body: passwordAuth("detained") });
  await run();
  expect(asked).toBeGreaterThan(0);
  await ask("PUT", `rooms/${roomId}/state/m.room.policy/`, { token: owner, body: {} });
  // As a process does that is killed when it has gone through all rooms.
  await hs.sql`update accounts set leaving_after = 1000000 where leaving_after is not null`;
  const path = `rooms/${roomId}/state/m.room.member/@detained:test`;
  const membership = async () => {
    await run();
    return (await ask("GET", path, { token: owner })).body.membership;
  };
  await expect.poll(membership).toBe("leave");
  await run();
  expect(await hs.sql`select from accounts where leaving_after is not null`).toHaveLength(0);
});

test("a room that an account comes to while it leaves the others is left as well", async () => {
  const owner = (await registered(ask, "owner-of-late")).access_token;
  const { access_token: token } = await registered(ask, "late");
  const first = (await ask("POST", "createRoom", { token: owner, body: { preset: "public_chat" } }))
    .body.room_id as RoomId;
  await policedRoom(owner, token);
  const requester = await testUser(hs, "late");
  let isIn = false;
  const askPolicyServerToSign: Remotes["askPolicyServerToSign"] = async () => {
    if (!isIn) {
      isIn = true;
      // As by a request that was begun before the account ended.
      await joinRoom(hs, requester, first);
    }
    return { ok: false, why: "refused", status: 403, errcode: "M_FORBIDDEN", body: {} };
  };
  Object.assign(hs.remotes, { askPolicyServerToSign });
  await ask("POST", "account/deactivate", { token, body: passwordAuth("late") });
  await run();
  expect(isIn).toBe(true);
  const path = `rooms/${first}/state/m.room.member/@late:test`;
  const membership = async () => {
    await run();
    return (await ask("GET", path, { token: owner })).body.membership;
  };
  await expect.poll(membership).toBe("leave");
});

test("a room that an account comes to when it has left all others is left as well", async () => {
  const owner = (await registered(ask, "owner-of-latest")).access_token;
  const { access_token: token } = await registered(ask, "latest");
  const body = { preset: "public_chat" };
  const { room_id } = (await ask("POST", "createRoom", { token: owner, body })).body;
  const requester = await testUser(hs, "latest");
  await ask("POST", "account/deactivate", { token, body: passwordAuth("latest") });
  const leaving = async () =>
    await hs.sql`select from accounts where user_key = ${requester.userKey} and leaving_after is not null`;
  await expect.poll(leaving).toHaveLength(0);
  // As by a request that was begun before the account ended.
  await joinRoom(hs, requester, room_id as RoomId);
  await run();
  const path = `rooms/${room_id}/state/m.room.member/@latest:test`;
  expect((await ask("GET", path, { token: owner })).body.membership).toBe("leave");
});
