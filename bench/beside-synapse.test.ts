import { expect, test } from "vitest";
import { type Result, summarise } from "./summary.ts";

test("the budget is held to Synapse of the same run", () => {
  // Where the budgets were set, a message took Synapse 29.9 ms with its database, and the budget is 1.6.
  const [ours, theirs] = summarise([
    result("archipel", "W1/10/c1", { serverCpuMs: 2_000, postgresCpuMs: 1_000 }),
    result("synapse", "W1/10/c1", { serverCpuMs: 40_000, postgresCpuMs: 20_000 }),
  ]);
  expect(ours?.beside?.times).toBe(20);
  expect(ours?.beside?.wanted).toBeCloseTo(29.9 / 1.6);
  expect(theirs).not.toHaveProperty("beside");
});

test("what many cases share is found, and W5 by its rooms", () => {
  const cpu = { serverCpuMs: 1_000, postgresCpuMs: 0 };
  const wanted = ["W8/20/single", "W5/51/cold", "W5/201/again", "W12/10000"].map((id) => {
    const [ours] = summarise([result("archipel", id, cpu), result("synapse", id, cpu)]);
    return ours?.beside?.wanted?.toFixed(1);
  });
  expect(wanted).toEqual(["33.0", "24.2", "19.8", undefined]);
});

function result(
  server: Result["server"],
  id: string,
  cpu: { readonly serverCpuMs: number; readonly postgresCpuMs: number },
): Result {
  const memory = { serverRssBytes: 0, serverPeakGrowthBytes: 0 };
  const usage = { ...cpu, ...memory, walBytes: 0, wholeMs: 0 };
  const sent = { bytesFromServer: 0, bytesToServer: 0, generatorCpuMs: 0 };
  const measurement = { id, operations: 1_000, loadMs: 1_000, usage, ...sent };
  return { server, repetition: 0, measurement };
}
