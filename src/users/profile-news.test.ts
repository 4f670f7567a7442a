import { afterAll, beforeAll, expect, test } from "vitest";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";

let homes: TestHomeservers;
let ask: Ask;
let other: Ask;
beforeAll(async () => {
  homes = await testHomeservers(2, LENIENT);
  [ask, other] = homes.all.map(asking) as [Ask, Ask];
});
afterAll(async () => await homes.close());

const USERS = "org.matrix.msc4429.users";
const FIELD = "org.example.mood";

test("those who name fields hear in /sync what others make of theirs, and nobody else does", async () => {
  const alice = await registered(ask, "alice");
  const bob = await registered(ask, "bob");
  const stranger = await registered(ask, "stranger");
  const token: string = alice.access_token;
  const set = async (who: { access_token: string; user_id: string }, value: string) => {
    const path = `profile/${who.user_id}/${FIELD}`;
    const answer = await ask("PUT", path, { token: who.access_token, body: { [FIELD]: value } });
    expect(answer.status).toBe(200);
  };
  const filterOf = (ids?: readonly string[]) =>
    encodeURIComponent(JSON.stringify({ "org.matrix.msc4429.profile_fields": { ids } }));
  const sync = async (since = "", ids: readonly string[] | undefined = [FIELD], on = ask) => {
    const query = `set_presence=offline&filter=${filterOf(ids)}${since && `&since=${since}&timeout=5000`}`;
    return (await on("GET", `sync?${query}`, { token })).body;
  };
  const updated = (value: unknown) => ({ [bob.user_id]: { profile_updates: { [FIELD]: value } } });

  const body = { preset: "public_chat" };
  const { room_id } = (await ask("POST", "createRoom", { token, body })).body;
  await ask("POST", `join/${room_id}`, { token: bob.access_token, body: {} });
  for (const who of [bob, stranger]) await set(who, "glad");
  const first = await sync();
  expect(first[USERS]).toEqual(updated("glad"));
  expect(await sync("", [])).not.toHaveProperty([USERS]);

  const waiting = sync(first.next_batch, [FIELD], other);
  await set(stranger, "sad");
  await set(bob, "sad");
  expect((await waiting)[USERS]).toEqual(updated("sad"));

  const path = `profile/${bob.user_id}/${FIELD}`;
  await ask("DELETE", path, { token: bob.access_token });
  const gone = await sync(first.next_batch);
  expect(gone[USERS]).toEqual(updated(null));
});
