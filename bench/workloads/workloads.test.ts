import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { budgetOf } from "../budgets.ts";
import { DeliveryError } from "../load/delivery.ts";
import { fillRoom, openConnections, registerUsers } from "../load/population.ts";
import { checkRoom, openRoom, sendMessages } from "../load/send-load.ts";
import { startNullServer } from "../servers/null-server.ts";
import { WORKLOADS } from "./all.ts";
import { chosenCases } from "./workload.ts";

let close: (() => void) | undefined;
afterEach(() => close?.());

describe("a load of 60 messages by 8 at once, read back by 3 members", () => {
  test("passes where every event is delivered", async () => {
    const { connections, loaded } = await load(() => false);
    await checkRoom(connections, loaded);
    expect(loaded.sent.size).toBe(60);
  });

  test("fails where one event is acknowledged and not delivered", async () => {
    const { connections, loaded } = await load((eventId) => eventId === "$17");
    await expect(checkRoom(connections, loaded)).rejects.toThrow(DeliveryError);
  });
});

test("the cases of a run are those of its size, and those that are named", () => {
  const cases = (only: string[]) =>
    WORKLOADS.flatMap((one) => chosenCases(one, { size: "S", only }));
  expect(cases([])).toContain("W1/10/c8");
  expect(cases([])).not.toContain("W2/1000");
  expect(cases(["W2/1000"])).toEqual(["W2/1000"]);
  expect(cases(["W1/10"])).toEqual(["W1/10/c1", "W1/10/c8", "W1/10/c32"]);
  // W1 is not W16.
  expect(cases(["W1"]).every((id) => id.startsWith("W1/"))).toBe(true);
});

test("every case has a budget", () => {
  const ids = WORKLOADS.flatMap(({ cases }) => [...cases.keys()]);
  const without = ids.filter((id) => Object.keys(budgetOf(id)).length === 0);
  expect(without).toEqual([]);
});

async function load(faulty: (eventId: string) => boolean) {
  const server = startNullServer(0, "127.0.0.1", faulty);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const connections = openConnections({ host: "127.0.0.1", port });
  close = () => {
    connections.close();
    server.close();
  };
  const users = await registerUsers(connections, "user", 3);
  const loaded = await openRoom(connections, await fillRoom(connections.lane(0), users));
  await sendMessages(connections, { rooms: [loaded], count: 60, inFlight: 8 });
  return { connections, loaded };
}
