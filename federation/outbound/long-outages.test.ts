import { afterAll, beforeAll, expect, test } from "vitest";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { currentPosition } from "#src/streams/tail.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { packTransaction } from "./pack-transaction.ts";
import { QUICK, recorder, sharedRoom, WAIT } from "./testing.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;

beforeAll(async () => {
  hs1 = await federation.open({
    outboundTimes: QUICK,
    variables: { ARCHIPEL_FEDERATION_MAX_RETRY_WAIT_MS: "300" },
  });
});
afterAll(async () => await federation.close());

const AWAY = "away.test:1" as ServerName;

/** Has very much happen that concerns no other server. @returns up to where nothing has. */
async function muchElsewhere(): Promise<Position> {
  const before = await currentPosition(hs1.hs);
  await hs1.hs.sql`update positions set position = position + 40000`;
  return before;
}

test("what a server is owed that has been away for long is looked for piece by piece", async () => {
  const shared = await sharedRoom(hs1.hs, [AWAY]);
  let after = await muchElsewhere();
  await shared.say("after all that");
  const pdus: string[] = [];
  let pieces = 0;
  for (let isMore = true; isMore; pieces++) {
    const parcel = await packTransaction(hs1.hs, AWAY, after);
    pdus.push(...parcel.pdus);
    expect(parcel.upTo).toBeGreaterThan(after);
    ({ upTo: after, isMore } = parcel);
  }
  expect(pieces).toBe(2);
  expect(pdus).toHaveLength(1);
});

test("a server is no better for being owed nothing for a while", async () => {
  const one = await recorder(federation, "liar.test");
  one.mode = "down";
  const shared = await sharedRoom(hs1.hs, [one.name]);
  const taken = await muchElsewhere();
  // Another process has it until it is owed something.
  await hs1.hs.sql`
    insert into destinations (server_name, taken_up_to, owed_up_to, failures, failing_since_ms, holder, leased_until_ms)
    values (${one.name}, ${taken}, ${taken + 40_000}, 5, 1000, 'another', ${Date.now() + 3_600_000})`;
  await shared.say("at last");
  await hs1.hs.sql`update destinations set leased_until_ms = 0 where server_name = ${one.name}`;
  const row = async () =>
    (
      await hs1.hs.sql<{ failures: number; since: number | null; taken: Position }[]>`
        select failures, failing_since_ms as since, taken_up_to as taken from destinations
        where server_name = ${one.name}`
    )[0];
  await expect.poll(async () => (await row())?.failures, WAIT).toBeGreaterThan(6);
  expect((await row())?.since).toBe(1000);
  // What has been looked through is not looked through again.
  expect((await row())?.taken).toBeGreaterThan(taken);
  one.mode = "up";
  await expect.poll(() => one.bodies(), WAIT).toEqual(["at last"]);
  await expect.poll(async () => (await row())?.since, WAIT).toBeNull();
});

test("a server is waited for no longer since the clock has been set back", async () => {
  const one = await recorder(federation, "notary.test");
  const shared = await sharedRoom(hs1.hs, [one.name]);
  const taken = await currentPosition(hs1.hs);
  // Another process has it until it is owed something.
  await hs1.hs.sql`
    insert into destinations (server_name, taken_up_to, owed_up_to, failures, failing_since_ms, holder, leased_until_ms, retry_at_ms)
    values (${one.name}, ${taken}, ${taken}, 5, 1000, 'another', ${Date.now() + 3_600_000}, ${Date.now() + 7_200_000})`;
  await shared.say("at last");
  await hs1.hs.sql`update destinations set leased_until_ms = 0 where server_name = ${one.name}`;
  await expect.poll(() => one.bodies(), WAIT).toEqual(["at last"]);
});
