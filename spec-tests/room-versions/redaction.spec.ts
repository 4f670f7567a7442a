import { describe, expect, test } from "vitest";
import { redact } from "#src/events/redact.ts";
import { rulesOf } from "#src/events/testing.ts";
import { versions } from "./room.ts";

/** Everything that an event could have beside its content. */
const TOP_LEVEL = {
  event_id: "$a:hs1.test",
  type: "m.room.message",
  room_id: "!r:hs1.test",
  sender: "@a:hs1.test",
  state_key: "",
  content: {},
  hashes: { sha256: "x" },
  signatures: { "hs1.test": { "ed25519:1": "x" } },
  depth: 1,
  prev_events: ["$p"],
  prev_state: [],
  auth_events: ["$q"],
  origin: "hs1.test",
  origin_server_ts: 1,
  membership: "join",
};
const STRIPPED = { unsigned: { age: 1 }, redacts: "$x", replaces_state: "$y", "org.example": 1 };
const LEGACY = ["membership", "origin", "prev_state"];

const ALL_LEVELS = {
  ban: 1,
  events: { a: 1 },
  events_default: 1,
  kick: 1,
  redact: 1,
  state_default: 1,
  users: { "@a:b": 1 },
  users_default: 1,
};

/** What is kept of a content, from one version to another. */
const CONTENTS = [
  {
    type: "m.room.member",
    from: 1,
    to: 8,
    content: { membership: "join", displayname: "A", join_authorised_via_users_server: "@a:b" },
    kept: { membership: "join" },
  },
  {
    type: "m.room.member",
    from: 9,
    to: 12,
    content: { membership: "join", displayname: "A", join_authorised_via_users_server: "@a:b" },
    kept: { membership: "join", join_authorised_via_users_server: "@a:b" },
  },
  {
    type: "m.room.member",
    from: 1,
    to: 10,
    content: { membership: "invite", third_party_invite: { signed: { mxid: "@a:b" } } },
    kept: { membership: "invite" },
  },
  {
    type: "m.room.member",
    from: 11,
    to: 12,
    content: {
      membership: "invite",
      third_party_invite: { display_name: "A", signed: { mxid: "@a:b", more: 1 } },
    },
    kept: { membership: "invite", third_party_invite: { signed: { mxid: "@a:b", more: 1 } } },
  },
  {
    type: "m.room.member",
    from: 11,
    to: 12,
    content: { membership: "invite", third_party_invite: { display_name: "A" } },
    kept: { membership: "invite", third_party_invite: {} },
  },
  {
    type: "m.room.member",
    from: 11,
    to: 12,
    content: { membership: "invite", third_party_invite: "text" },
    kept: { membership: "invite" },
  },
  {
    type: "m.room.create",
    from: 1,
    to: 10,
    content: { creator: "@a:b", room_version: "10", "m.federate": false },
    kept: { creator: "@a:b" },
  },
  {
    type: "m.room.create",
    from: 11,
    to: 12,
    content: { creator: "@a:b", room_version: "11", "m.federate": false, "org.example": {} },
    kept: { creator: "@a:b", room_version: "11", "m.federate": false, "org.example": {} },
  },
  {
    type: "m.room.join_rules",
    from: 1,
    to: 7,
    content: { join_rule: "restricted", allow: [1] },
    kept: { join_rule: "restricted" },
  },
  {
    type: "m.room.join_rules",
    from: 8,
    to: 12,
    content: { join_rule: "restricted", allow: [1], more: 1 },
    kept: { join_rule: "restricted", allow: [1] },
  },
  {
    type: "m.room.power_levels",
    from: 1,
    to: 10,
    content: { ...ALL_LEVELS, invite: 1, notifications: { room: 1 } },
    kept: ALL_LEVELS,
  },
  {
    type: "m.room.power_levels",
    from: 11,
    to: 12,
    content: { ...ALL_LEVELS, invite: 1, notifications: { room: 1 } },
    kept: { ...ALL_LEVELS, invite: 1 },
  },
  {
    type: "m.room.aliases",
    from: 1,
    to: 5,
    content: { aliases: ["#a:b"], more: 1 },
    kept: { aliases: ["#a:b"] },
  },
  { type: "m.room.aliases", from: 6, to: 12, content: { aliases: ["#a:b"] }, kept: {} },
  {
    type: "m.room.history_visibility",
    from: 1,
    to: 12,
    content: { history_visibility: "shared", more: 1 },
    kept: { history_visibility: "shared" },
  },
  { type: "m.room.redaction", from: 1, to: 10, content: { redacts: "$x", reason: "" }, kept: {} },
  {
    type: "m.room.redaction",
    from: 11,
    to: 12,
    content: { redacts: "$x", reason: "" },
    kept: { redacts: "$x" },
  },
  { type: "m.room.message", from: 1, to: 12, content: { body: "x", membership: "join" }, kept: {} },
  { type: "constructor", from: 1, to: 12, content: { name: "x" }, kept: {} },
] as const;

/** @spec rooms/v11#redactions */
describe.each(versions(1))("redaction in room version %s", (version) => {
  const rules = rulesOf(version);

  test("keeps of an event what its graph and its ID need", () => {
    const kept = Object.keys(TOP_LEVEL).filter(
      (key) => Number(version) < 11 || !LEGACY.includes(key),
    );
    const redacted = redact({ ...TOP_LEVEL, ...STRIPPED }, rules);
    expect(Object.keys(redacted).toSorted()).toEqual(kept.toSorted());
  });

  const contents = CONTENTS.filter(({ from, to }) => versions(from, to).includes(version));
  test.each(contents)("keeps of $type $kept", ({ type, content, kept }) => {
    const redacted = redact({ type, content }, rules);
    expect(redacted).toEqual({ type, content: kept });
    expect(redact(redacted, rules)).toEqual(redacted);
  });
});
