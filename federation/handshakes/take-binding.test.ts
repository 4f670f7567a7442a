import { afterAll, beforeAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { takeBinding } from "./take-binding.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let userId: UserId;

beforeAll(async () => {
  servers = await testHomeservers(1, LENIENT);
  ({ hs } = servers);
  userId = (await registered(asking(hs), "bound")).user_id;
});
afterAll(async () => await servers.close());

const invitesOf = (names: readonly string[]) =>
  names.map((name) => ({ room_id: `!room:${name}`, sender: `@someone:${name}`, signed: {} }));

type Exchange = Remotes["exchangeThirdPartyInvite"];
const AWAY = { ok: false, why: "unreachable", cause: new Error("away") } as const;

test("of however many bindings that anybody tells of, a few are taken in at once", async () => {
  let [underWay, most] = [0, 0];
  const gate = Promise.withResolvers<void>();
  const exchangeThirdPartyInvite: Exchange = async () => {
    most = Math.max(most, ++underWay);
    await gate.promise;
    underWay--;
    return { ok: true, body: {} };
  };
  Object.assign(hs.remotes, { exchangeThirdPartyInvite });
  const all = Array.from({ length: 60 }, async () => {
    await takeBinding(hs, { userId, invites: invitesOf(["a.test", "b.test"]) });
  });
  const settled = Promise.allSettled(all);
  await expect.poll(() => underWay).toBe(5);
  gate.resolve();
  const refused = (await settled).filter((it) => it.status === "rejected");
  expect(refused.map((it) => it.reason)).toEqual(
    Array.from({ length: 5 }, () => expect.objectContaining({ errcode: "M_LIMIT_EXCEEDED" })),
  );
  expect(most).toBe(5);
});

test("where the servers that are named do not answer, it is not gone on for ever", async () => {
  const { now } = hs;
  const asked: string[] = [];
  const exchangeThirdPartyInvite: Exchange = async (server) => {
    asked.push(server);
    return await Promise.resolve(AWAY);
  };
  Object.assign(hs.remotes, { exchangeThirdPartyInvite });
  Object.assign(hs, { now: () => now() + asked.length * 25_000 });
  const invites = invitesOf(["a.test", "b.test", "c.test", "d.test", "e.test"]);
  await expect(takeBinding(hs, { userId, invites })).rejects.toMatchObject({ status: 504 });
  Object.assign(hs, { now });
  expect(asked).toEqual(["a.test", "b.test", "c.test"]);
});

test("what may come to something later is told the identity server, whatever else was refused", async () => {
  const later = { ok: false, why: "refused", status: 429, errcode: "M_LIMIT_EXCEEDED", body: {} };
  const never = { ok: false, why: "refused", status: 403, errcode: "M_FORBIDDEN", body: {} };
  const exchangeThirdPartyInvite = async (server: string) =>
    await Promise.resolve(server === "b.test" ? later : never);
  Object.assign(hs.remotes, { exchangeThirdPartyInvite });
  const invites = invitesOf(["a.test", "b.test", "c.test"]);
  await expect(takeBinding(hs, { userId, invites })).rejects.toMatchObject({ status: 429 });
});
