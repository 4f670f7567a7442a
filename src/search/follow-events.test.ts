import { afterAll, expect, test } from "vitest";
import { findEvents } from "#src/rooms/find-event.ts";
import { misjudgedRoom } from "#src/rooms/partial/testing-misjudged.ts";
import { testHomeservers } from "#src/testing.ts";
import { catchUpSearch } from "./follow-events.ts";

const servers = await testHomeservers(1);
afterAll(async () => await servers.close());
const { hs } = servers;

const late = [{ isLate: false }, { isLate: true }];

test.each(late)(
  "what turns out to be part of a room is found, and what does not is found no more: %j",
  async (how) => {
    const { stray, said, complete } = await misjudgedRoom(hs, how);
    const found = async () => {
      await catchUpSearch(hs);
      const events = await findEvents(hs, [stray, said]);
      const rows = await hs.sql<{ key: number }[]>`select event_key as key from search_entries`;
      const keys = new Set(rows.map((it) => it.key));
      return [stray, said].filter((it) => keys.has(events.get(it)?.eventKey ?? 0));
    };
    expect(await found()).toEqual([stray]);
    await complete();
    expect(await found()).toEqual([said]);
  },
);
