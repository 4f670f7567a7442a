import { describe, expect, test } from "vitest";
import { clientEvent } from "./client-event.ts";
import { strippedStateEvent } from "./stripped-state.ts";
import { event, rulesOf } from "./testing.ts";

const [V10, V11] = [rulesOf("10"), rulesOf("11")];
const WIRE = {
  auth_events: [],
  content: { body: "x" },
  depth: 1,
  hashes: {},
  origin: "hs1.test",
  origin_server_ts: 5,
  prev_events: [],
  room_id: "!room",
  sender: "@a:b",
  signatures: {},
  type: "m.room.message",
};

describe("clientEvent", () => {
  test("has what clients get, and nothing else", () => {
    const { content, room_id, sender, type, origin_server_ts } = WIRE;
    const seen = { content, room_id, sender, type, origin_server_ts, event_id: "$x" };
    expect(clientEvent("$x", WIRE, V11)).toStrictEqual(seen);
    expect(clientEvent("$x", WIRE, V11, {})).toStrictEqual(seen);
    expect(clientEvent("$x", { ...WIRE, state_key: "" }, V11, { age: 1 })).toStrictEqual({
      ...seen,
      state_key: "",
      unsigned: { age: 1 },
    });
  });

  test("names the room of a create event that does not", () => {
    const { room_id: _, ...create } = WIRE;
    expect(clientEvent("$hash", { ...create, type: "m.room.create" }, V11).room_id).toBe("!hash");
  });

  const REDACTION = { ...WIRE, type: "m.room.redaction" };
  test.each([
    [V10, { ...REDACTION, redacts: "$y", content: { reason: "r" } }],
    [V11, { ...REDACTION, content: { reason: "r", redacts: "$y" } }],
    // What is said where the version does not have it counts for nothing.
    [V10, { ...REDACTION, redacts: "$y", content: { reason: "r", redacts: "$others" } }],
    [V11, { ...REDACTION, redacts: "$others", content: { reason: "r", redacts: "$y" } }],
  ])("says twice what a redaction redacts (%#)", (rules, wire) => {
    expect(clientEvent("$x", wire, rules)).toMatchObject({
      redacts: "$y",
      content: { reason: "r", redacts: "$y" },
    });
  });

  test("says so of redactions alone", () => {
    expect(clientEvent("$x", { ...WIRE, redacts: "$y" }, V10)).not.toHaveProperty("redacts");
    const redacted = { ...REDACTION, content: {} };
    expect(clientEvent("$x", redacted, V10)).not.toHaveProperty("redacts");
    const elsewhere = { ...redacted, redacts: "$others" };
    expect(clientEvent("$x", elsewhere, V11)).not.toHaveProperty("redacts");
  });
});

describe("strippedStateEvent", () => {
  test("has four fields", () => {
    const { type, sender, content } = WIRE;
    const full = event({ type, sender: "@a:b", content, state_key: "" });
    expect(strippedStateEvent(full)).toStrictEqual({ type, sender, content, state_key: "" });
  });
});
