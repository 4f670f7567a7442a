import { afterAll, beforeAll, expect, test } from "vitest";
import { memberDraft } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { processesAlive, processIdOf } from "#src/streams/presence.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { greetServers } from "./greet-servers.ts";
import { putOff, QUICK, recorder, sharedRoom, WAIT } from "./testing.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;

beforeAll(async () => {
  hs1 = await federation.open({ outboundTimes: QUICK });
});
afterAll(async () => await federation.close());

test("servers in our rooms hear of us once we are there again, but for those that were not there themselves", async () => {
  const { hs } = hs1;
  const hosts = ["hs2.test", "hs3.test", "liar.test", "notary.test"];
  const [there, away, left, mute] = await Promise.all(
    hosts.map(async (host) => await recorder(federation, host)),
  );
  if (!there || !away || !left || !mute) throw new Error("there are four");
  const shared = await sharedRoom(
    hs,
    [there, away, left, mute].map((it) => it.name),
  );
  await sharedRoom(hs, [there.name], "another");
  away.mode = "down";
  await shared.say("hello");
  const [, , leaves = "@a:b"] = shared.members;
  await shared.receive(leaves, memberDraft(leaves, "leave"));
  await expect.poll(async () => await putOff(hs, away), WAIT).toBe(1);
  await expect.poll(() => [there, mute].flatMap((it) => it.bodies()), WAIT).toHaveLength(2);
  away.mode = "up";
  mute.mode = "mute";
  for (const it of [there, away, left, mute]) it.transactions.length = 0;
  await greetServers(hs);
  const nothing = { edus: [], origin: hs.name, origin_server_ts: expect.any(Number), pdus: [] };
  expect(there.transactions.map((it) => it.body)).toEqual([nothing]);
  expect(mute.transactions.length).toBeGreaterThan(0);
  expect([...away.transactions, ...left.transactions]).toEqual([]);
});

test("of two processes the one greets that was there first: then the other has not been away", async () => {
  const { all } = await federation.open({ processes: 2, isSilent: true, host: "hs1.test" });
  const [first, second] = all as [Homeserver, Homeserver];
  const it = await recorder(federation, "hs2.test");
  await sharedRoom(first, [it.name]);
  await expect.poll(() => processesAlive(first)).toBe(2);
  await greetServers(second, 0);
  expect(it.transactions).toEqual([]);
  await greetServers(first, 0);
  expect(it.transactions).toHaveLength(1);
});

test("a process greets that came while another had just died", async () => {
  const { hs, all } = await federation.open({ processes: 2, isSilent: true, host: "hs1.test" });
  const [dead, next] = all as [Homeserver, Homeserver];
  const it = await recorder(federation, "hs2.test");
  await sharedRoom(next, [it.name]);
  await hs.sql`
    update processes set seen_at = now() - interval '2 minutes' where process_id = ${processIdOf(dead)}`;
  await greetServers(next, 0);
  expect(it.transactions).toHaveLength(1);
});
