/**
 * What the protocol's pure functions cost, in µs of CPU a call, beside what they may cost.
 * Run as `node bench/micro/events.ts`.
 */

import { lookupAmong } from "#src/events/auth-rules/auth-state.ts";
import { checkAuthRules } from "#src/events/auth-rules/check.ts";
import { buildEvent, type EventDraft, type EventSetting } from "#src/events/build-event.ts";
import { clientEventOpening } from "#src/events/client-event-text.ts";
import { clientEvent } from "#src/events/client-event.ts";
import { checkContentHash, eventIdOf } from "#src/events/event-hash.ts";
import { parsePdu, pduOf } from "#src/events/parse-pdu.ts";
import type { WireEvent } from "#src/events/pdu.ts";
import { redact } from "#src/events/redact.ts";
import { DEFAULT_ROOM_VERSION, ROOM_VERSIONS } from "#src/events/room-versions.ts";
import { canonicalJson } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed, signText } from "#src/kit/signed-json.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";

const rules = ROOM_VERSIONS.get(DEFAULT_ROOM_VERSION);
if (!rules) throw new Error("the default room version is not known");

const signingKey = signingKeyFromSeed("ed25519:bench", new Uint8Array(32).fill(1));
const first: EventSetting = {
  sender: "@alice:hs1.test",
  roomId: undefined,
  rules,
  prevEvents: [],
  authEvents: [],
  depth: 1,
  now: 1_700_000_000_000,
  server: "hs1.test" as ServerName,
  signingKey,
};

// A room of fifty named users, and a message of 1.3 kB in it.
const create = buildEvent({ type: "m.room.create", state_key: "", content: {} }, first).event;
const setting: EventSetting = {
  ...first,
  roomId: create.room_id,
  prevEvents: [create.event_id],
  authEvents: [create.event_id, create.event_id],
};
const users = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`@user${String(index)}:hs1.test`, 50]),
);
const state = (type: string, state_key: string, content: EventDraft["content"]) =>
  buildEvent({ type, state_key, content }, setting).event;
const levels = state("m.room.power_levels", "", { users, events: { "m.room.name": 50 } });
const member = state("m.room.member", "@bob:hs1.test", { membership: "join" });
const lookup = lookupAmong([create, levels, member]);

// As a client sends it: parsed from JSON, its keys as they came.
const draft = fromJson<EventDraft>({
  type: "m.room.message",
  content: {
    msgtype: "m.text",
    body: "As I said yesterday, ".repeat(12),
    format: "org.matrix.custom.html",
    formatted_body: "<p>As I said <i>yesterday</i></p>".repeat(10),
    "m.mentions": { user_ids: ["@alice:hs1.test"] },
  },
});
const { event, json } = buildEvent(draft, { ...setting, sender: "@bob:hs1.test" });
const wire = JSON.parse(json) as WireEvent;
const disordered = fromJson<WireEvent>(Object.fromEntries(Object.entries(wire).toReversed()));
const levelsChange = {
  ...levels,
  content: { ...levels.content, invite: 50 },
  sender: create.sender,
};
const joined = lookupAmong([
  create,
  levels,
  state("m.room.member", create.sender, { membership: "join" }),
]);
const signedText = Buffer.from(json);

function fromJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** The least of some rounds, since other programs run on the same machine. */
function microseconds(call: () => unknown, calls: number): number {
  const rounds = Array.from({ length: 7 }, () => {
    const start = process.cpuUsage();
    for (let count = 0; count < calls; count++) call();
    const { user, system } = process.cpuUsage(start);
    return (user + system) / calls;
  });
  return Math.min(...rounds);
}

const MEASURES: readonly [what: string, call: () => unknown, budget?: number][] = [
  ["JSON.stringify, for comparison", () => JSON.stringify(wire)],
  ["canonicalJson, keys in order", () => canonicalJson(wire), 7],
  ["canonicalJson, keys in disorder", () => canonicalJson(disordered), 7],
  ["parseWireJson", () => parseWireJson(json)],
  ["parsePdu", () => parsePdu(wire, rules)],
  ["pduOf", () => pduOf(event.event_id, wire, rules)],
  ["redact", () => redact(wire, rules)],
  ["eventIdOf", () => eventIdOf(wire, rules)],
  ["checkContentHash", () => checkContentHash(wire)],
  ["clientEvent", () => clientEvent(event.event_id, wire, rules)],
  ["clientEventOpening", () => clientEventOpening(event.event_id, json, { roomId: false })],
  ["signText alone", () => signText(signedText, signingKey)],
  ["buildEvent", () => buildEvent(draft, setting), 90],
  ["checkAuthRules, a message", () => checkAuthRules(event, lookup, rules), 10],
  ["checkAuthRules, power levels of 50", () => checkAuthRules(levelsChange, joined, rules)],
];

process.stdout.write(`an event of ${String(json.length)} bytes, µs of CPU:\n`);
for (const [what, call, budget] of MEASURES) {
  microseconds(call, 500);
  const cost = microseconds(call, 2_000).toFixed(2).padStart(8);
  const limit = budget === undefined ? "" : `  (budget ${String(budget)})`;
  process.stdout.write(`${what.padEnd(36)}${cost}${limit}\n`);
}
