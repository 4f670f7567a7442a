import { afterAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { forkedRoom } from "../received/testing-forks.ts";
import { sendEvent } from "../send-event.ts";
import { complete, enterPartially } from "./testing.ts";

const servers = await testHomeservers(2);
afterAll(async () => await servers.close());

test("a room to which another process writes each time is given up for now, and made whole later", async () => {
  const [hs, other] = servers.all as [Homeserver, Homeserver];
  const { room: remote, basis } = forkedRoom("12", []);
  const { room, ...known } = await enterPartially(hs, remote, basis);
  const sender = await testUser(hs, "local");
  const draft = { type: "m.room.message", content: { body: "quick" } };
  const { lane } = hs;
  let said = 0;
  const overtaken: Homeserver["lane"] = {
    ...lane,
    async transaction(work) {
      await sendEvent(other, { sender, room, draft });
      said++;
      return await lane.transaction(work);
    },
  };
  Object.assign(hs, { lane: overtaken });
  expect(await complete(hs, room, remote, known)).toBe(false);
  expect(said).toBeGreaterThan(10);
  Object.assign(hs, { lane });
  expect(await complete(hs, room, remote, known)).toBe(true);
  const left = await hs.sql`select from partial_rooms where room_key = ${room.roomKey}`;
  expect(left).toHaveLength(0);
});
