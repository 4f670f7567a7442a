import { afterAll, expect, test } from "vitest";
import { findEvents } from "#src/rooms/find-event.ts";
import { misjudgedRoom } from "#src/rooms/partial/testing-misjudged.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers } from "#src/testing.ts";
import { newEvents } from "./queries-news.ts";

const servers = await testHomeservers(1);
afterAll(async () => await servers.close());
const { hs } = servers;

const late = [{ isLate: false }, { isLate: true }];

test.each(late)(
  "what turns out to be part of a room once its members are known is news then, and once: %j",
  async (how) => {
    const { position: begun } = tailOf(hs);
    const { stray, said, complete } = await misjudgedRoom(hs, how);
    const news = async (after: number) => {
      const its = await newEvents(hs.sql, { after, upTo: tailOf(hs).position }, 100);
      const events = await findEvents(hs, [stray, said]);
      return its.flatMap(({ eventKey }) =>
        [stray, said].filter((it) => events.get(it)?.eventKey === eventKey),
      );
    };
    expect(await news(begun)).toEqual([stray]);
    const { position } = tailOf(hs);
    await complete();
    expect(await news(position)).toEqual([said]);
    // So it is for who hears of all of it only now.
    expect(await news(begun)).toEqual([said]);
  },
);
