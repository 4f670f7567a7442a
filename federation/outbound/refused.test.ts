import { afterAll, beforeAll, expect, test } from "vitest";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { QUICK, type Recorder, recorder, sharedRoom, taking, WAIT } from "./testing.ts";

const federation = await testFederation();
let hs1: FederatedHomeserver;
let one: Recorder;

beforeAll(async () => {
  hs1 = await federation.open({
    outboundTimes: QUICK,
    variables: { ARCHIPEL_FEDERATION_MAX_RETRY_WAIT_MS: "300" },
  });
  one = await recorder(federation, "liar.test");
});
afterAll(async () => await federation.close());

test("what a server refuses does not keep it from what comes later, if it was owed nothing else at first", async () => {
  const shared = await sharedRoom(hs1.hs, [one.name]);
  one.refuses = (text) => text.includes('"poison"');
  const before = one.transactions.length;
  await shared.say("poison");
  await expect.poll(() => one.transactions.length, WAIT).toBeGreaterThan(before + 1);
  await shared.say("later");
  await expect.poll(() => taking(one, "later"), WAIT).toEqual(["later"]);
  expect(taking(one, "poison")).toEqual([]);
});
