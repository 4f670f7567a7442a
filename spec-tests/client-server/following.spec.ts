import { describe, expect, test } from "vitest";
import type { ClientEvent } from "../answers.ts";
import { type Answer, homeserver, type TestUser } from "./client.ts";
import { faultsOf } from "./following/client-faults.ts";
import { newPlay } from "./following/play.ts";
import { eventsOf, SeenHistory } from "./following/room-history.ts";

const hs = await homeserver();

/** What is told of the room to somebody who reads it, from either end, in pages of some size. */
async function read(user: TestUser, roomId: string, dir: string, limit: number) {
  const found: ClientEvent[] = [];
  const room = `/v3/rooms/${encodeURIComponent(roomId)}`;
  for (let from: string | undefined = ""; from !== undefined;) {
    const page: Answer = await user.call(
      "GET",
      `${room}/messages?dir=${dir}&limit=${limit}${from}`,
    );
    if (page.status === 403) return undefined;
    found.push(...page.body.chunk);
    from = page.body.end === undefined ? undefined : `&from=${page.body.end}`;
  }
  const ids = found.map((it) => it.event_id);
  return dir === "f" ? ids : ids.reverse();
}

/** @spec client-server-api#room-history-visibility */
describe("a room whose members come and go", () => {
  test.each([1, 2, 5])(
    "shows each of them what they may see, once, and comes to the same state: %d",
    { timeout: 120_000 },
    async (seed) => {
      const play = await newPlay(hs, seed);
      const { alice, others, roomId, dice, clients } = play;
      for (let turn = 0; turn < 4; turn++) {
        for (let count = 0; count < 15; count++) await play.doOne();
        for (const client of clients) await client.sync();
        const events = await eventsOf(alice, roomId);
        expect(clients.flatMap((it) => faultsOf(it.known, events))).toEqual([]);
        for (const user of others) {
          const { readable } = new SeenHistory(events, user.userId);
          const found = await read(user, roomId, dice.pick(["b", "f"]), 1 + dice.below(7));
          expect(found).toEqual(readable);
        }
      }
    },
  );
});
