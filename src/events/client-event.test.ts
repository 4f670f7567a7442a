import { describe, expect, test } from "vitest";
import { clientEvent } from "./client-event.ts";
import { strippedStateEvent } from "./stripped-state.ts";
import { event } from "./testing.ts";

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
    expect(clientEvent("$x", WIRE)).toStrictEqual(seen);
    expect(clientEvent("$x", WIRE, {})).toStrictEqual(seen);
    expect(clientEvent("$x", { ...WIRE, state_key: "" }, { age: 1 })).toStrictEqual({
      ...seen,
      state_key: "",
      unsigned: { age: 1 },
    });
  });

  test("names the room of a create event that does not", () => {
    const { room_id: _, ...create } = WIRE;
    expect(clientEvent("$hash", { ...create, type: "m.room.create" }).room_id).toBe("!hash");
  });

  test.each([
    { ...WIRE, type: "m.room.redaction", redacts: "$y", content: { reason: "r" } },
    { ...WIRE, type: "m.room.redaction", content: { reason: "r", redacts: "$y" } },
  ])("says twice what a redaction redacts (%#)", (wire) => {
    expect(clientEvent("$x", wire)).toMatchObject({
      redacts: "$y",
      content: { reason: "r", redacts: "$y" },
    });
  });

  test("says so of redactions alone", () => {
    expect(clientEvent("$x", { ...WIRE, redacts: "$y" })).not.toHaveProperty("redacts");
    const redacted = { ...WIRE, type: "m.room.redaction", content: {} };
    expect(clientEvent("$x", redacted)).not.toHaveProperty("redacts");
  });
});

describe("strippedStateEvent", () => {
  test("has four fields", () => {
    const { type, sender, content } = WIRE;
    const full = event({ type, sender: "@a:b", content, state_key: "" });
    expect(strippedStateEvent(full)).toStrictEqual({ type, sender, content, state_key: "" });
  });
});
