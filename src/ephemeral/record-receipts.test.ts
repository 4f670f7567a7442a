import { afterAll, expect, test } from "vitest";
import type { EventId } from "#src/kit/identifiers.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { testHomeservers, testRoom, testUser } from "#src/testing.ts";
import { recordReceipts } from "./record-receipts.ts";

const homes = await testHomeservers();
afterAll(async () => await homes.close());

test("another server's user leaves no row for each thread that their server makes up, and keeps the newest", async () => {
  const { hs } = homes;
  const sender = await testUser(hs, "alice");
  const room = await testRoom(hs, sender);
  const draft = { type: "m.room.message", content: { body: "read" } };
  const eventId = await sendEvent(hs, { sender, room, draft });
  const read = async (name: string, threads: readonly (EventId | "main" | undefined)[]) => {
    const userId = `@${name}:elsewhere.test` as const;
    const userKey = await userKeyOf(hs, userId);
    const one = { room, userId, userKey, eventIds: [eventId], ts: 1 };
    await recordReceipts(
      hs,
      threads.map((thread) => ({ ...one, thread })),
    );
  };
  await read("few", ["main", undefined, "$one", "$two"]);
  await read("many", [undefined, "main"]);
  for (let round = 0; round < 4; round++) {
    const threads = Array.from({ length: 300 }, (_, nth): EventId => `$${round}-${nth}`);
    await read("many", threads);
  }
  const rows = await hs.sql<{ threads: string[] }[]>`
    select array_agg(thread) as threads from receipts join users using (user_key)
    where not users.local group by user_id order by user_id`;
  const [few, many] = rows.map((it) => it.threads);
  expect(few?.toSorted()).toEqual(["", "$one", "$two", "main"]);
  expect(many).toHaveLength(502);
  expect(many).toEqual(expect.arrayContaining(["", "main", "$3-299", "$3-0"]));
});
