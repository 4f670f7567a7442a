import { afterAll, expect, test } from "vitest";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { tellRoomsOfProfiles } from "./tell-rooms.ts";

const homes = await testHomeservers(1, LENIENT);
const { hs } = homes;
const ask = asking(hs);
afterAll(async () => await homes.close());

/** A user who is in a room whose policy server, which is this one, does not answer, and in others before and after it. */
async function inPolicedRoom(localpart: string) {
  const { access_token: token, user_id } = await registered(ask, localpart);
  const rooms: string[] = [];
  for (let index = 0; index < 3; index++) {
    rooms.push((await ask("POST", "createRoom", { token, body: {} })).body.room_id);
  }
  const { publicKey } = signingKeyFromSeed("ed25519:policy_server", Buffer.alloc(32, 7));
  const content = { via: hs.name, public_keys: { ed25519: unpaddedBase64(publicKey) } };
  const police = async (body: object) =>
    await ask("PUT", `rooms/${rooms[1]}/state/m.room.policy/`, { token, body });
  await police(content);
  const askPolicyServerToSign: Remotes["askPolicyServerToSign"] = async () =>
    await Promise.resolve({ ok: false, why: "unreachable", cause: "silence" });
  Object.assign(hs.remotes, { askPolicyServerToSign });
  return {
    setName: async (displayname: string) => {
      await ask("PUT", `profile/${user_id}/displayname`, { token, body: { displayname } });
    },
    names: async () => {
      const paths = rooms.map((it) => `rooms/${it}/state/m.room.member/${user_id}`);
      const answers = await Promise.all(paths.map(async (it) => await ask("GET", it, { token })));
      return answers.map((it) => it.body.displayname as string);
    },
    endPolicing: async () => await police({}),
  };
}

const updates = () => hs.sql`select from profile_updates`;
const putOff = () => hs.sql`select from profile_updates where due_ms > 0 and leased_until_ms = 0`;
const run = async () => await tellRoomsOfProfiles.run(hs, new AbortController().signal);

test("a room that cannot be told now is told later, and the others at once", async () => {
  const { setName, names, endPolicing } = await inPolicedRoom("ann");
  await setName("Ann");
  await expect.poll(putOff).toHaveLength(1);
  expect(await names()).toEqual(["Ann", "ann", "Ann"]);
  await endPolicing();
  await run();
  expect(await names()).toEqual(["Ann", "ann", "Ann"]);
  await hs.sql`update profile_updates set due_ms = 1`;
  await run();
  expect(await names()).toEqual(["Ann", "Ann", "Ann"]);
  expect(await updates()).toEqual([]);
});

test("a name that has changed once more is told at once, whatever waits", async () => {
  const { setName, names, endPolicing } = await inPolicedRoom("bea");
  await setName("Bea");
  await expect.poll(putOff).toHaveLength(1);
  await endPolicing();
  await setName("Beatrix");
  await expect.poll(updates).toEqual([]);
  expect(await names()).toEqual(["Beatrix", "Beatrix", "Beatrix"]);
});

test("a room that cannot be told for a day is not told", async () => {
  const { setName, names } = await inPolicedRoom("cat");
  await setName("Cat");
  await expect.poll(putOff).toHaveLength(1);
  await hs.sql`update profile_updates set due_ms = 1, since_ms = since_ms - ${25 * 60 * 60_000}`;
  await run();
  expect(await names()).toEqual(["Cat", "cat", "Cat"]);
  expect(await updates()).toEqual([]);
});
