import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Filter, limitOf, wantsThreadCounts } from "./filter.ts";
import {
  matchesEventFilter,
  matchesRoomEventFilter,
  matchesRooms,
} from "./matches-event-filter.ts";
import { eventFieldSelector } from "./select-event-fields.ts";

const message = { type: "m.room.message", sender: "@a:hs", content: { body: "hi" } };

describe("matchesEventFilter", () => {
  const names = fc.constantFrom("m.room.message", "m.room.member", "m.*", "*", "x");
  const lists = fc.option(fc.array(names, { maxLength: 3 }), { nil: undefined });
  const events = fc.record({ type: names, sender: fc.constantFrom("@a:hs", "@b:hs") });
  const filterOf = (types: string[] | undefined, not_types: string[] | undefined) => ({
    types,
    not_types,
  });

  test("never lets through what it excludes, whatever it includes", () => {
    fc.assert(
      fc.property(events, lists, (event, types) => {
        expect(matchesEventFilter(filterOf(types, [event.type]), event)).toBe(false);
      }),
    );
  });

  test("lets through less, the more it says", () => {
    fc.assert(
      fc.property(events, lists, lists, (event, types, not_types) => {
        const both = matchesEventFilter(filterOf(types, not_types), event);
        const one = matchesEventFilter(filterOf(types, undefined), event);
        const other = matchesEventFilter(filterOf(undefined, not_types), event);
        expect(both).toBe(one && other);
      }),
    );
  });

  test("knows stars, and an empty list includes nothing", () => {
    expect(matchesEventFilter({ types: ["m.room.*"] }, message)).toBe(true);
    expect(matchesEventFilter({ types: ["m.room"] }, message)).toBe(false);
    expect(matchesEventFilter({ types: [] }, message)).toBe(false);
    expect(matchesEventFilter({ not_senders: ["@a:hs"] }, message)).toBe(false);
    expect(matchesEventFilter({ senders: ["@b:hs"] }, message)).toBe(false);
  });
});

describe("matchesRoomEventFilter", () => {
  test("looks for a url", () => {
    const file = { ...message, content: { url: "mxc://hs/1" } };
    expect(matchesRoomEventFilter({ contains_url: true }, file)).toBe(true);
    expect(matchesRoomEventFilter({ contains_url: true }, message)).toBe(false);
    expect(matchesRoomEventFilter({ contains_url: false }, file)).toBe(false);
  });

  test("looks at what relates to an event, and at what it relates to itself", () => {
    const relating = { senders: new Set(["@b:hs"]), relTypes: new Set(["m.thread"]) };
    const roots = { related_by_rel_types: ["m.thread"], related_by_senders: ["@b:hs"] };
    expect(matchesRoomEventFilter(roots, message, relating)).toBe(true);
    expect(matchesRoomEventFilter(roots, message)).toBe(false);

    const reply = { ...message, content: { "m.relates_to": { rel_type: "m.thread" } } };
    expect(matchesRoomEventFilter({ "org.matrix.msc3874.rel_types": ["m.thread"] }, reply)).toBe(
      true,
    );
    expect(
      matchesRoomEventFilter({ "org.matrix.msc3874.not_rel_types": ["m.thread"] }, reply),
    ).toBe(false);
  });
});

test("matchesRooms excludes before it includes", () => {
  expect(matchesRooms({ rooms: ["!a"], not_rooms: ["!a"] }, "!a")).toBe(false);
  expect(matchesRooms({ rooms: ["!a"] }, "!b")).toBe(false);
  expect(matchesRooms(undefined, "!a")).toBe(true);
});

describe("Filter", () => {
  test.each([
    { presence: "no object" },
    { room: { timeline: { senders: ["no user"] } } },
    { room: { timeline: { rooms: ["no room"] } } },
    { room: { state: { types: [1] } } },
    { room: { timeline: { limit: -1 } } },
    { room: { timeline: { limit: "10" } } },
    { event_format: "other" },
    [],
  ])("refuses %j", (filter) => {
    expect(Filter.safeParse(filter).success).toBe(false);
  });

  test("says how many events and which counts are wanted", () => {
    const limits = { standard: 10, most: 100 };
    expect(limitOf(undefined, limits)).toBe(10);
    expect(limitOf({ limit: 1_000_000 }, limits)).toBe(100);
    expect(wantsThreadCounts({ room: { timeline: { unread_thread_notifications: true } } })).toBe(
      true,
    );
    expect(wantsThreadCounts({})).toBe(false);
  });
});

describe("eventFieldSelector", () => {
  test("leaves the named fields, through dots and escapes", () => {
    const select = eventFieldSelector(["type", "content.body", String.raw`content.m\.x.y`, "none"]);
    const event = {
      type: "t",
      sender: "@a:hs",
      content: { body: 1, other: 2, "m.x": { y: 3, z: 4 } },
    };
    expect(select(event)).toEqual({ type: "t", content: { body: 1, "m.x": { y: 3 } } });
  });

  test("cannot be made to reach the prototype of objects", () => {
    const event = JSON.parse('{"content":{"__proto__":{"polluted":1}}}') as object;
    const selected = eventFieldSelector(["content.__proto__.polluted"])(event);
    expect(JSON.stringify(selected)).toBe('{"content":{"__proto__":{"polluted":1}}}');
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  test("takes a path as long as a filter may be", () => {
    const select = eventFieldSelector([`type${".a".repeat(32_000)}`, "content"]);
    expect(select(message)).toEqual({ content: { body: "hi" } });
  });
});
