import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "#src/kit/canonical-json.ts";
import { rawLiteral } from "#src/kit/raw-literal.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { eventIdOf } from "./event-hash.ts";
import { parsePdu, pduOf } from "./parse-pdu.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "./room-versions.ts";
import { rulesOf } from "./testing.ts";

const MESSAGE = {
  auth_events: ["$auth"],
  content: { body: "hello" },
  depth: 5,
  hashes: { sha256: "x" },
  origin_server_ts: 1_700_000_000_000,
  prev_events: ["$prev"],
  room_id: "!room:hs1.test",
  sender: "@alice:hs1.test",
  signatures: { "hs1.test": { "ed25519:1": "x" } },
  type: "m.room.message",
};

/** A message as the room version has it, but for the given fields. */
function wire(rules: RoomVersionRules, fields: object = {}): object {
  const pair = (id: string) => [id, { sha256: "x" }];
  return {
    ...MESSAGE,
    ...(rules.eventFormat === "id-hash-pairs" && {
      event_id: "$event:hs1.test",
      auth_events: MESSAGE.auth_events.map(pair),
      prev_events: MESSAGE.prev_events.map(pair),
    }),
    ...fields,
  };
}

/** What `parsePdu` has read, or its refusal as an exception. */
function read(value: unknown, rules: RoomVersionRules) {
  const parsed = parsePdu(value, rules);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed;
}

const rules12 = rulesOf("12");
const lax = [...ROOM_VERSIONS.values()].filter(({ strictCanonicalJson }) => !strictCanonicalJson);
const strict = [...ROOM_VERSIONS.values()].filter(({ strictCanonicalJson }) => strictCanonicalJson);
const NUMBERS = '{"a":[1.0,1.5,1e3,12345678901234567890]}';
const DEEPEST = { depth: rawLiteral("9223372036854775807") };

describe.each([...ROOM_VERSIONS.values()])("parsePdu in room version $version", (rules) => {
  test("reads an event", () => {
    const sent = wire(rules, { unsigned: { age: 5 }, origin: "hs1.test" });
    const parsed = read(sent, rules);
    const { unsigned: _, ...kept } = sent as { unsigned: object };
    expect(parsed.wire).toEqual(kept);
    expect(parsed.json).toBe(canonicalJson(kept));
    expect(parsed.event).toMatchObject({
      ...MESSAGE,
      event_id: eventIdOf(parsed.wire, rules),
      unsigned: { age: 5 },
      origin: "hs1.test",
    });
    expect(pduOf(parsed.event.event_id, parsed.wire, rules)).toEqual({
      ...parsed.event,
      unsigned: undefined,
    });
  });

  test.each([
    [{ type: 5 }],
    [{ type: undefined }],
    [{ sender: "alice" }],
    [{ sender: "@alice" }],
    [{ sender: "@alice:" }],
    [{ state_key: null }],
    [{ state_key: 5 }],
    [{ room_id: "room" }],
    [{ room_id: "!" }],
    [{ room_id: undefined }],
    [{ content: [] }],
    [{ content: null }],
    [{ depth: -1 }],
    [{ depth: "5" }],
    [{ depth: 1.5 }],
    [{ depth: 2 ** 63 }],
    [{ depth: rawLiteral("9223372036854775808") }],
    [{ depth: rawLiteral("5.0") }],
    [{ origin_server_ts: 1.5 }],
    [{ origin_server_ts: null }],
    [{ hashes: {} }],
    [{ hashes: { sha256: 5 } }],
    [{ signatures: [] }],
    [{ signatures: { a: "b" } }],
    [{ signatures: { a: { b: 5 } } }],
    [{ unsigned: 5 }],
    [{ auth_events: {} }],
    [{ auth_events: [5] }],
    [{ prev_events: [["$prev"]] }],
    [{ prev_events: [["$prev", "x"]] }],
    [{ prev_events: [["prev", { sha256: "x" }]] }],
    [{ prev_events: ["prev"] }],
    [{ content: { lone: "\ud83d" } }],
    [{ content: { n: Number.POSITIVE_INFINITY } }],
  ])("refuses %j", (fields) => {
    expect(parsePdu(wire(rules, fields), rules)).toMatchObject({
      ok: false,
      errcode: "M_BAD_JSON",
    });
  });

  test.each([[null], ["text"], [[]], [5], [undefined], [{}]])("refuses %j altogether", (value) => {
    expect(parsePdu(value, rules).ok).toBe(false);
  });

  const inBytes = [
    "sender",
    "room_id",
    ...(rules.textsLimitedInBytes ? ["type", "state_key"] : []),
  ];
  test.each(inBytes)("bounds %s in bytes", (field) => {
    const start = { sender: "@é:", room_id: "!é" }[field] ?? "é";
    const longest = start + "x".repeat(255 - Buffer.byteLength(start));
    expect(parsePdu(wire(rules, { [field]: longest }), rules).ok).toBe(true);
    expect(parsePdu(wire(rules, { [field]: `${longest}x` }), rules)).toMatchObject({
      ok: false,
      errcode: "M_TOO_LARGE",
    });
  });

  test("bounds the event in bytes, whatever is unsigned", () => {
    const empty = canonicalJson(wire(rules, { content: { body: "" } }));
    const left = 65_536 - Buffer.byteLength(empty);
    const fill = (bytes: number) => `é${"x".repeat(bytes - 2)}`;
    const unsigned = { filler: "x".repeat(1000) };
    const fits = wire(rules, { content: { body: fill(left) }, unsigned });
    expect(parsePdu(fits, rules).ok).toBe(true);
    const over = wire(rules, { content: { body: fill(left + 1) } });
    expect(parsePdu(over, rules)).toMatchObject({ ok: false, errcode: "M_TOO_LARGE" });
  });

  test("survives what is nested deep, or is long", () => {
    const deep = parseWireJson(`${'{"a":['.repeat(15_000)}1${"]}".repeat(15_000)}`);
    expect(parsePdu(wire(rules, { content: { deep } }), rules).ok).toBe(false);
    const long = Array.from({ length: 200_000 }, () => ({}));
    expect(parsePdu(wire(rules, { content: { long } }), rules)).toMatchObject({
      ok: false,
      errcode: "M_TOO_LARGE",
    });
  });

  test("throws at nothing", () => {
    const field = fc.constantFrom(...Object.keys(wire(rules)), "state_key", "unsigned", "redacts");
    fc.assert(
      fc.property(fc.dictionary(field, fc.jsonValue()), (fields) => {
        expect(typeof parsePdu(wire(rules, fields), rules).ok).toBe("boolean");
      }),
      { numRuns: 100 },
    );
  });
});

describe.each(lax)("in room version $version", (rules) => {
  test("numbers are kept as they came", () => {
    const { json } = read(wire(rules, { content: parseWireJson(NUMBERS) }), rules);
    expect(json).toContain('{"a":[1.0,1.5,1000.0,12345678901234567890]}');
    expect(read(wire(rules, DEEPEST), rules).event.depth).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe.each(strict)("in room version $version", (rules) => {
  test("numbers are integers in range", () => {
    expect(parsePdu(wire(rules, { content: parseWireJson(NUMBERS) }), rules).ok).toBe(false);
    expect(parsePdu(wire(rules, DEEPEST), rules).ok).toBe(false);
  });
});

describe("parsePdu", () => {
  test("bounds the number of auth events and of previous events", () => {
    const ids = (count: number) => Array.from({ length: count }, (_, index) => `$${String(index)}`);
    const fields = { auth_events: ids(10), prev_events: ids(20) };
    expect(parsePdu(wire(rules12, fields), rules12).ok).toBe(true);
    expect(parsePdu(wire(rules12, { auth_events: ids(11) }), rules12).ok).toBe(false);
    expect(parsePdu(wire(rules12, { prev_events: ids(21) }), rules12).ok).toBe(false);
  });

  test.each([["event"], ["$event"], ["$event:"], ["$:"], [undefined], [`$${"x".repeat(255)}:a`]])(
    "refuses the assigned event ID %j",
    (event_id) => {
      expect(parsePdu(wire(rulesOf("1"), { event_id }), rulesOf("1")).ok).toBe(false);
    },
  );

  test("refuses an event that is its own ancestor", () => {
    const self = [["$event:hs1.test", { sha256: "x" }]];
    expect(parsePdu(wire(rulesOf("2"), { prev_events: self }), rulesOf("2")).ok).toBe(false);
    expect(parsePdu(wire(rulesOf("2"), { auth_events: self }), rulesOf("2")).ok).toBe(false);
  });

  test("refuses an event ID where it is computed", () => {
    expect(parsePdu(wire(rulesOf("3"), { event_id: "$event" }), rulesOf("3")).ok).toBe(false);
  });

  test("derives the room of a create event from its ID, since version 12", () => {
    const create = { type: "m.room.create", state_key: "", room_id: undefined };
    const { room_id: _, ...sent } = wire(rules12, create) as { room_id: undefined };
    const { event } = read(sent, rules12);
    expect(event.room_id).toMatch(/^![\w-]{43}$/);
    expect(event.room_id.slice(1)).toBe(event.event_id.slice(1));
    expect(parsePdu(sent, rulesOf("11")).ok).toBe(false);
    expect(parsePdu({ ...sent, state_key: "x" }, rules12).ok).toBe(false);
  });

  test("finds what a redaction redacts where its version has it", () => {
    const both = { type: "m.room.redaction", redacts: "$top", content: { redacts: "$content" } };
    expect(parsePdu(wire(rulesOf("10"), both), rulesOf("10"))).toMatchObject({
      event: { redacts: "$top" },
    });
    expect(parsePdu(wire(rules12, both), rules12)).toMatchObject({
      event: { redacts: "$content" },
    });
    expect(
      parsePdu(wire(rules12, { ...both, content: { redacts: 5 } }), rules12),
    ).not.toHaveProperty("event.redacts");
  });

  test("computes the ID from numbers as they came", () => {
    const idWith = (content: string) =>
      read(
        wire(rulesOf("3"), { type: "m.room.power_levels", content: parseWireJson(content) }),
        rulesOf("3"),
      ).event.event_id;
    expect(idWith('{"ban":1}')).not.toBe(idWith('{"ban":1.0}'));
    expect(idWith('{"ban":1.0}')).toBe(idWith('{"ban":1.00}'));
  });
});

test.each(["type", "state_key"])("bounds %s in characters in rooms before version 11", (field) => {
  const old = rulesOf("10");
  const longest = "💥".repeat(255);
  expect(parsePdu(wire(old, { [field]: longest }), old).ok).toBe(true);
  for (const [text, its] of [
    [`${longest}x`, old],
    [longest, rulesOf("11")],
  ] as const) {
    expect(parsePdu(wire(its, { [field]: text }), its)).toMatchObject({
      ok: false,
      errcode: "M_TOO_LARGE",
    });
  }
});
