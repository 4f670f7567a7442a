import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { Dice } from "./dice.ts";

/** Texts of numbers, as they may come over the wire: with floats, and beyond what is safe. */
const NUMBERS = [
  "0",
  "-0",
  "1",
  "-1",
  "50",
  "9007199254740991",
  "-9007199254740991",
  "9007199254740992",
  "-9007199254740992",
  "9007199254740993",
  "18446744073709551616",
  "1.0",
  "-0.0",
  "1.5",
  "0.1",
  "1e2",
  "1E+2",
  "1e16",
  "1e21",
  "1.5e300",
  "1e-7",
  "0.0001",
  "123456789.125",
  "1e400",
] as const;

/** Pieces of strings, as they may be between quotes: escapes, controls, what sorts oddly, surrogates. */
const PIECES = [
  "a",
  "B",
  "z",
  "~",
  " ",
  "\\n",
  "\\u0000",
  "\\u001f",
  "\\b\\f\\t\\r",
  "\\/",
  "/",
  '\\"',
  "\\\\",
  "\\u0041",
  "\\u007f",
  "\u007F",
  "é",
  "e\u0301",
  "\u2028",
  "\uFFFD",
  "\uE000",
  "\u{1F600}",
  "\\ud83d\\ude00",
  "__proto__",
  "constructor",
] as const;

/** A JSON text, nested a little: most of them with nothing odd in it. */
export function randomJsonText(dice: Dice, depth = 3): string {
  const kind = dice.below(depth > 0 ? 10 : 6);
  if (kind < 2) return randomNumberText(dice);
  if (kind < 5) return randomStringText(dice);
  if (kind < 6) return dice.pick(["true", "false", "null"]);
  const items = Array.from({ length: dice.below(5) }, () => randomJsonText(dice, depth - 1));
  const space = dice.pick(["", "", " ", "\n"]);
  if (kind < 7) return `[${space}${items.join(`,${space}`)}]`;
  const members = items.map((item) => `${randomStringText(dice)}${space}:${space}${item}`);
  return `{${space}${members.join(`,${space}`)}${space}}`;
}

function randomNumberText(dice: Dice): string {
  return dice.chance(75) ? String(dice.below(2_000_000) - 1_000_000) : dice.pick(NUMBERS);
}

function randomStringText(dice: Dice): string {
  if (dice.chance(1)) return dice.pick(['"\\ud83d"', '"\\ude00x"', '"\\ud83d\\ud83d"']);
  return `"${Array.from({ length: dice.below(4) }, () => dice.pick(PIECES)).join("")}"`;
}

const TYPES = [
  "m.room.create",
  "m.room.member",
  "m.room.power_levels",
  "m.room.join_rules",
  "m.room.aliases",
  "m.room.history_visibility",
  "m.room.redaction",
  "m.room.message",
  "m.room.third_party_invite",
] as const;

/** Everything that some redaction keeps of some content, and some things that none does. */
const CONTENT_KEYS = [
  "creator",
  "room_version",
  "membership",
  "join_authorised_via_users_server",
  "third_party_invite",
  "join_rule",
  "allow",
  "ban",
  "events",
  "events_default",
  "kick",
  "redact",
  "state_default",
  "users",
  "users_default",
  "invite",
  "notifications",
  "aliases",
  "history_visibility",
  "redacts",
  "body",
  "displayname",
  "__proto__",
] as const;

const TOP_KEYS = [
  "origin",
  "membership",
  "prev_state",
  "redacts",
  "extra",
  "prev_content",
] as const;

/** The text of an event of the version's format, with much that is of no concern to anyone. */
export function randomEventText(dice: Dice, rules: RoomVersionRules): string {
  const type = dice.pick(TYPES);
  const value = (): string =>
    rules.strictCanonicalJson ? strictText(dice) : randomJsonText(dice, 2);
  const content = dice.some(CONTENT_KEYS, 30).map((key) => {
    const invite = `{"signed":${value()},"display_name":${value()}}`;
    const isInvite = key === "third_party_invite" && dice.chance(70);
    return `${JSON.stringify(key)}:${isInvite ? invite : value()}`;
  });
  const cite = (id: string): unknown =>
    rules.eventFormat === "ids" ? id : [id, { sha256: "bm90IGxvb2tlZCBhdA" }];
  const isNameless = rules.roomIdIsCreateEventId && type === "m.room.create";
  const fields = {
    type,
    sender: "@ada:hs1.test",
    ...((isNameless || dice.chance(60)) && {
      state_key: isNameless ? "" : dice.pick(["", "@bea:hs1.test"]),
    }),
    ...(rules.eventIdFormat === "assigned" && { event_id: `$${dice.below(1e6)}:hs1.test` }),
    ...(!isNameless && { room_id: "!room:hs1.test" }),
    auth_events: [cite("$a"), cite("$b")],
    prev_events: [cite("$c")],
    depth: dice.below(1000),
    origin_server_ts: 1_700_000_000_000 + dice.below(1000),
    hashes: { sha256: "bm90IGxvb2tlZCBhdA" },
    signatures: { "hs1.test": { "ed25519:1": "bm90IGEgc2lnbmF0dXJl" } },
  };
  const members = Object.entries(fields).map(([key, item]) => `"${key}":${JSON.stringify(item)}`);
  const extras = dice.some(TOP_KEYS, 15).map((key) => `"${key}":${value()}`);
  const unsigned = dice.chance(30) ? ['"unsigned":{"age":5}'] : [];
  return `{${[...members, `"content":{${content.join(",")}}`, ...extras, ...unsigned].join(",")}}`;
}

/** A value that every room version lets in. */
function strictText(dice: Dice): string {
  const text = randomJsonText(dice, 2);
  return /[0-9](\.|[eE])|[0-9]{16}|\\ud83d"|\\ude00x|\\ud83d\\ud83d|-0/.test(text)
    ? '"plain"'
    : text;
}
