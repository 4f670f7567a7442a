import fc from "fast-check";
import { expect, test } from "vitest";
import type { EventId } from "#src/kit/identifiers.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { clientEventOpening } from "./client-event-text.ts";
import { clientEvent } from "./client-event.ts";
import type { WireEvent } from "./pdu.ts";
import { ROOM_VERSIONS } from "./room-versions.ts";
import { wireText } from "./wire-text.ts";

const lax = ROOM_VERSIONS.get("1");

test("cuts from an event's text what clientEvent makes of the event", () => {
  const events = fc.record(
    {
      auth_events: fc.array(fc.string()),
      content: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })),
      depth: fc.nat(),
      event_id: fc.string(),
      origin_server_ts: fc.maxSafeNat(),
      redacts: fc.string(),
      room_id: fc.string(),
      sender: fc.string(),
      signatures: fc.dictionary(fc.string(), fc.dictionary(fc.string(), fc.string())),
      state_key: fc.string(),
      type: fc.string().filter((it) => it !== "m.room.redaction"),
    },
    { requiredKeys: ["content", "origin_server_ts", "sender", "type"] },
  );
  fc.assert(
    fc.property(events, fc.string(), fc.boolean(), (event, id, roomId) => {
      const text = wireText(parseWireJson(JSON.stringify(event)) as WireEvent, lax ?? never());
      const { room_id, ...rest } = clientEvent(
        `$${id}`,
        parseWireJson(text) as WireEvent,
        lax ?? never(),
      );
      const made = `${clientEventOpening(`$${id}` as EventId, text, { roomId })}}`;
      expect(JSON.parse(made)).toEqual(
        JSON.parse(JSON.stringify({ ...rest, ...(roomId && { room_id }) })),
      );
    }),
    { numRuns: 500 },
  );
});

function never(): never {
  throw new Error("there is no room version 1");
}
