import { afterAll, expect, test } from "vitest";
import { killedAnywhere } from "#src/testing-crash.ts";
import { hearProfiles } from "#src/users/hear-profiles.ts";
import { tellingServers } from "./testing.ts";

const { hs1, hs2, ask1, alice, bob, say, close } = await tellingServers();
afterAll(close);

const FIELD = "org.example.mood";
const USERS = "org.matrix.msc4429.users";
const told = (user_id: string, fields: object) =>
  ["uk.tcpip.msc4259.profile", { user_id, fields }] as [string, object];

let since = "";
/** What is new to alice, who asks another process than the one that is told. */
async function sync(): Promise<object | undefined> {
  const filter = JSON.stringify({ "org.matrix.msc4429.profile_fields": { ids: [FIELD] } });
  const query = `filter=${encodeURIComponent(filter)}${since && `&since=${since}&timeout=0`}`;
  type News = { next_batch: string; [USERS]?: Record<string, { profile_updates?: object }> };
  const { body } = await ask1<News>("GET", `sync?${query}`, { token: alice.access_token });
  since = body.next_batch;
  return body[USERS]?.[bob.user_id]?.profile_updates;
}

test("what another server tells of a profile is told to those who share a room, and kept", async () => {
  expect(await sync()).toBeUndefined();
  await say(told(bob.user_id, { [FIELD]: "glad", "not a name": 1 }));
  await expect.poll(sync).toEqual({ [FIELD]: "glad" });
  since = "";
  expect(await sync()).toEqual({ [FIELD]: "glad" });
  await say(told(bob.user_id, { [FIELD]: "sad" }), told(bob.user_id, { [FIELD]: null }));
  await expect.poll(sync).toEqual({ [FIELD]: null });
  since = "";
  expect(await sync()).toBeUndefined();
});

test("nobody is told of users of others, of whom nobody knows, or of profiles that are too large", async () => {
  const stranger = `@stranger:${hs2.name}`;
  await say(
    told(alice.user_id, { [FIELD]: "forged" }),
    told(stranger, { [FIELD]: "alone" }),
    told(bob.user_id, { [FIELD]: "x".repeat(65_536) }),
    told(bob.user_id, { [FIELD]: "\0" }),
  );
  const rows = await hs1.hs.sql<{ user_id: string; fields: string }[]>`
    select user_id, fields from heard_profiles join users using (user_key)`;
  expect(rows.filter((it) => it.user_id !== bob.user_id)).toEqual([]);
  expect(rows.map((it) => it.fields)).toEqual(["{}"]);
  const path = `profile/${alice.user_id}/${FIELD}`;
  expect((await ask1("GET", path, { token: alice.access_token })).status).toBe(404);
});

test("what a process was told that is killed is told to those who share a room when it is said again", async () => {
  let told: object | undefined;
  const hear = async () => {
    told = (await sync()) ?? told;
    return told;
  };
  const said = { userId: bob.user_id, fields: { [FIELD]: "calm" } };
  const act = async () => await hearProfiles(hs1.hs, [said]);
  await killedAnywhere(hs1.hs, act, async () => void (await hear()));
  await expect.poll(hear).toEqual({ [FIELD]: "calm" });
});
