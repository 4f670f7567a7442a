import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { verifyKeyOf } from "#src/kit/testing.ts";
import { buildEvent, type EventDraft, type EventSetting } from "./build-event.ts";
import { checkContentHash, eventIdOf } from "./event-hash.ts";
import { verifyEventSignature } from "./event-signatures.ts";
import { parsePdu } from "./parse-pdu.ts";
import { redact } from "./redact.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "./room-versions.ts";
import { rulesOf } from "./testing.ts";
import { wireText } from "./wire-text.ts";

const server = "hs1.test" as ServerName;
const signingKey = signingKeyFromSeed("ed25519:a", new Uint8Array(32).fill(9));
const verifyKey = verifyKeyOf(signingKey);

function setting(rules: RoomVersionRules, other: Partial<EventSetting> = {}): EventSetting {
  return {
    sender: "@alice:hs1.test",
    roomId: "!room:hs1.test",
    rules,
    prevEvents: ["$prev:hs1.test"],
    authEvents: ["$one:hs1.test", "$two:hs1.test"],
    referenceHashes: new Map<EventId, string>([
      ["$prev:hs1.test", "aaa"],
      ["$one:hs1.test", "bbb"],
      ["$two:hs1.test", "ccc"],
    ]),
    depth: 7,
    now: 1_700_000_000_000,
    server,
    signingKey,
    eventIdLocalpart: "unique",
    ...other,
  };
}

const types = fc.constantFrom(
  "m.room.message",
  "m.room.member",
  "m.room.power_levels",
  "m.room.create",
  "m.room.redaction",
  "m.room.aliases",
);

const drafts: fc.Arbitrary<EventDraft> = fc
  .record({
    type: types,
    content: fc.dictionary(
      fc.constantFrom("membership", "users", "invite", "redacts", "aliases", "body", "9", "a"),
      fc.oneof(fc.string({ unit: "grapheme" }), fc.maxSafeInteger(), fc.constant({ b: 1, a: [] })),
    ),
    state_key: fc.option(fc.string(), { nil: undefined }),
    redacts: fc.option(fc.constant("$redacted" as const), { nil: undefined }),
  })
  .map((draft) => JSON.parse(JSON.stringify(draft)) as EventDraft);

describe.each([...ROOM_VERSIONS.values()])("buildEvent in room version $version", (rules) => {
  test("builds what another server would take for the same event", async () => {
    await fc.assert(
      fc.asyncProperty(drafts, fc.boolean(), async (draft, namesOrigin) => {
        const built = buildEvent(draft, setting(rules, { namesOrigin }));
        expect(built.wire["origin"]).toBe(namesOrigin ? server : undefined);
        const parsed = parsePdu(JSON.parse(built.json), rules);
        expect(parsed).toMatchObject({
          ok: true,
          event: built.event,
          wire: built.wire,
          json: built.json,
        });
        expect(checkContentHash(built.wire)).toBe(true);
        expect(await verifyEventSignature(built.wire, rules, server, verifyKey)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test("has one ID, one signature, and one redaction, redacted or not", async () => {
    await fc.assert(
      fc.asyncProperty(drafts, fc.boolean(), async (draft, namesOrigin) => {
        const { wire, event } = buildEvent(draft, setting(rules, { namesOrigin }));
        const redacted = redact(wire, rules);
        expect(eventIdOf(redacted, rules)).toBe(event.event_id);
        expect(await verifyEventSignature(redacted, rules, server, verifyKey)).toBe(true);
        expect(parsePdu(JSON.parse(wireText(redacted, rules)), rules).ok).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test("shows when its content is another", async () => {
    const { wire } = buildEvent({ type: "m.room.message", content: { body: "x" } }, setting(rules));
    expect(checkContentHash({ ...wire, content: { body: "y" } })).toBe(false);
    expect(checkContentHash({ ...wire, hashes: { sha256: "" } })).toBe(false);
    expect(checkContentHash({ ...wire, hashes: {} })).toBe(false);
    const moved = { ...wire, depth: 8 };
    expect(await verifyEventSignature(moved, rules, server, verifyKey)).toBe(false);
  });

  test("puts what is redacted where the version has it, and where older servers look for it", () => {
    const draft: EventDraft = { type: "m.room.redaction", content: {}, redacts: "$redacted" };
    const { wire, event } = buildEvent(draft, setting(rules));
    expect(event.redacts).toBe("$redacted");
    expect(wire["redacts"]).toBe("$redacted");
    expect(wire["content"]).toEqual(rules.redactsInContent ? { redacts: "$redacted" } : {});
  });

  test("keeps what is unsigned out of what is stored", () => {
    const draft = { type: "a", content: {}, unsigned: { transaction_id: "t" } };
    const { wire, json, event } = buildEvent(draft, setting(rules));
    expect(event.unsigned).toEqual({ transaction_id: "t" });
    expect(wire).not.toHaveProperty("unsigned");
    expect(json).not.toContain("transaction_id");
  });

  test.each<[string, EventDraft, Partial<EventSetting>]>([
    ["type", { type: "x".repeat(256), content: {} }, {}],
    ["state_key", { type: "x", state_key: "é".repeat(128), content: {} }, {}],
    ["sender", { type: "x", content: {} }, { sender: `@${"x".repeat(250)}:a.test` }],
    ["event", { type: "x", content: { body: "x".repeat(65_500) } }, {}],
  ])("refuses too large a %s", (_, draft, other) => {
    expect(() => buildEvent(draft, setting(rules, other))).toThrow(
      expect.objectContaining({ errcode: "M_TOO_LARGE", status: 413 }),
    );
  });

  test("refuses what has no JSON", () => {
    const draft = { type: "x", content: { a: "\ud83d" } };
    expect(() => buildEvent(draft, setting(rules))).toThrow(
      expect.objectContaining({ errcode: "M_BAD_JSON", status: 400 }),
    );
  });

  test("does not go deeper than can be counted", () => {
    const deepest = { depth: Number.MAX_SAFE_INTEGER + 1 };
    const { event, wire } = buildEvent({ type: "x", content: {} }, setting(rules, deepest));
    expect(event.depth).toBe(Number.MAX_SAFE_INTEGER);
    expect(wire["depth"]).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe("buildEvent", () => {
  test.each(["1", "5"])("takes floats in room version %s", (version) => {
    const { json } = buildEvent({ type: "x", content: { a: 1.5 } }, setting(rulesOf(version)));
    expect(json).toContain('{"a":1.5}');
  });

  test.each(["6", "12"])("refuses floats in room version %s", (version) => {
    const draft = { type: "x", content: { a: 1.5 } };
    expect(() => buildEvent(draft, setting(rulesOf(version)))).toThrow(
      expect.objectContaining({ errcode: "M_BAD_JSON", status: 400 }),
    );
  });

  test("makes a room's ID from its create event, since version 12", () => {
    const first = { roomId: undefined, prevEvents: [], authEvents: [] };
    const draft = { type: "m.room.create", state_key: "", content: { room_version: "12" } };
    const { event, wire, json } = buildEvent(draft, setting(rulesOf("12"), first));
    expect(event.room_id).toBe(`!${event.event_id.slice(1)}`);
    expect(wire).not.toHaveProperty("room_id");
    expect(parsePdu(JSON.parse(json), rulesOf("12"))).toMatchObject({ ok: true, event });
  });

  test("wants for old versions what they are made with", () => {
    const draft = { type: "x", content: {} };
    const { eventIdLocalpart: _, ...noId } = setting(rulesOf("1"));
    expect(() => buildEvent(draft, noId)).toThrow(TypeError);
    const { referenceHashes: __, ...noHashes } = setting(rulesOf("2"));
    expect(() => buildEvent(draft, noHashes)).toThrow(TypeError);
  });
});
