import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ConnectionDraft,
  type ConnectionState,
  decodeState,
  encodeState,
  LIVE,
  NOTHING,
  NOTHING_TOLD,
  type ToldRoom,
  toldUpTo,
} from "./connection-state.ts";

const told = fc.oneof(fc.constantFrom(LIVE, NOTHING), fc.integer({ min: 1, max: 2 ** 48 }));
const element = fc.record({ type: fc.string(), stateKey: fc.string() }, { requiredKeys: [] });
const part = fc.record({
  include: fc.array(element, { maxLength: 3 }),
  exclude: fc.array(element, { maxLength: 3 }),
  lazyMembers: fc.boolean(),
});
const room = fc.record({
  events: told,
  known: fc.nat(),
  config: fc.constant(0),
  isDm: fc.boolean(),
  receipts: told,
  accountData: told,
  typing: told,
  profiles: told,
});

const state: fc.Arbitrary<ConnectionState> = fc.record({
  rooms: fc.array(fc.tuple(fc.integer({ min: 1, max: 2 ** 40 }), room)).map((its) => new Map(its)),
  configs: fc.array(fc.array(part, { maxLength: 2 }), { minLength: 1, maxLength: 1 }),
  globals: fc.record({ accountData: told, e2ee: told, threads: told, profiles: told }),
});

const ROOM: ToldRoom = {
  events: LIVE,
  known: 1,
  config: 0,
  isDm: false,
  receipts: NOTHING,
  accountData: NOTHING,
  typing: NOTHING,
  profiles: NOTHING,
};

test("a state is read as it was stored", () => {
  fc.assert(
    fc.property(state, (it) => {
      expect(decodeState(encodeState(it))).toEqual(it);
    }),
  );
});

test("a state in another form is none", () => {
  const { globals, configs } = NOTHING_TOLD;
  expect(decodeState(JSON.stringify({ rooms: [1, 2, 3], configs, globals }))).toBeUndefined();
  expect(decodeState(JSON.stringify({ rooms: [], configs, globals: {} }))).toBeUndefined();
});

describe("an answer", () => {
  test("that tells nothing new of what is live leaves the state as it was", () => {
    fc.assert(
      fc.property(state, (before) => {
        const draft = new ConnectionDraft(before);
        for (const [roomKey, it] of before.rooms) draft.setRoom(roomKey, { ...it });
        draft.setGlobals({ ...before.globals });
        draft.leaveBehind("events", [-1], 7);
        draft.keepRooms(() => true);
        expect(draft.finish()).toBe(before);
      }),
    );
  });

  test("leaves behind what is live, at the token's place, and nothing else", () => {
    const aspects = fc.constantFrom("events", "receipts", "accountData", "typing", "profiles");
    fc.assert(
      fc.property(state, aspects, fc.integer({ min: 1 }), (before, aspect, token) => {
        const draft = new ConnectionDraft(before);
        draft.leaveBehind(aspect, before.rooms.keys(), token);
        for (const [roomKey, it] of before.rooms) {
          const after = draft.roomOf(roomKey);
          expect(after).toEqual({ ...it, [aspect]: it[aspect] === LIVE ? token : it[aspect] });
          // What a client knows does not become another by that.
          expect(toldUpTo(after?.[aspect] ?? NOTHING, token)).toBe(toldUpTo(it[aspect], token));
        }
      }),
    );
  });

  test("keeps of configurations those by which rooms were told", () => {
    const [one, other] = [false, true].map((lazyMembers) => [
      { include: [], exclude: [], lazyMembers },
    ]);
    if (!one || !other) throw new Error("there are two");
    const first = new ConnectionDraft(NOTHING_TOLD);
    first.setRoom(1, { ...ROOM, config: first.indexOf(one) });
    first.setRoom(2, { ...ROOM, config: first.indexOf(other) });
    const before = first.finish();
    const second = new ConnectionDraft(before);
    second.keepRooms((it) => it === 2);
    const after = second.finish();
    expect(after.configs).toEqual([other]);
    expect(after.rooms.get(2)?.config).toBe(0);
    expect(before.configs).toEqual([one, other]);
  });
});
