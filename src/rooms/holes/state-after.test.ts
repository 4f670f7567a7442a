import { afterAll, expect, test } from "vitest";
import { testHomeservers } from "#src/testing.ts";
import { findEvent } from "../find-event.ts";
import { storeOutliers } from "../received/store-outliers.ts";
import { knownRoom, RemoteRoom } from "../received/testing.ts";
import { EventStatus } from "../stored-event.ts";
import { withEvent } from "./state-after.ts";

const homes = await testHomeservers(1);
afterAll(async () => await homes.close());

test("the state after what was rejected is that before it", async () => {
  const { hs } = homes;
  const remote = new RemoteRoom("12", "stateafter");
  const topic = (text: string) => ({
    type: "m.room.topic",
    state_key: "",
    content: { topic: text },
  });
  const begun = remote.begin("@creator:a.test");
  const first = remote.add("@creator:a.test", topic("true"), [begun]);
  const second = remote.add("@creator:a.test", topic("truer"), [first]);
  const forged = remote.add("@stranger:b.test", topic("false"), [first]);
  const room = await knownRoom(hs, remote);
  await storeOutliers(
    hs,
    room,
    [...remote.events.keys()].map((id) => remote.received(id)),
  );
  const [allowed, rejected] = [await findEvent(hs, second), await findEvent(hs, forged)];
  if (!allowed || !rejected) throw new Error("not stored");
  expect(rejected.status).toBe(EventStatus.rejected);
  expect(await withEvent(hs, [begun, first], allowed)).toEqual([begun, second]);
  expect(await withEvent(hs, [begun, first], rejected)).toEqual([begun, first]);
});
