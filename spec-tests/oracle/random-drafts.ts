import type { StateLookup } from "#src/events/auth-rules/auth-state.ts";
import type { Pdu } from "#src/events/pdu.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { signJson, signingKeyFromSeed } from "#src/kit/signed-json.ts";
import type { Dice } from "./dice.ts";
import { changedPowerLevels, type Content, firstPowerLevels } from "./random-levels.ts";
import { ODD_USERS, USERS } from "./random-users.ts";

/** What somebody might want to send. */
export type Draft = {
  readonly type: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content: Content;
  readonly redacts?: unknown;
};

/** What a draft is made from. */
export type DraftSetting = {
  readonly dice: Dice;
  readonly rules: RoomVersionRules;
  readonly creator: string;
  readonly lookup: StateLookup;
  /** An event of the room, to redact. */
  readonly anEvent: string;
};

/** Something that somebody in the room, or not in it, might send in this state. */
export function randomDraft(setting: DraftSetting): Draft {
  const { dice, lookup } = setting;
  const draft = dice.weighted([
    [46, memberDraft],
    [22, powerLevelsDraft],
    [8, joinRulesDraft],
    [12, ordinaryDraft],
    [5, thirdPartyInviteDraft],
    [4, redactionDraft],
    [3, aliasesDraft],
    [2, createDraft],
  ])(setting);
  // Mostly by somebody who is in the room, or the verdict is dull.
  const joined = USERS.filter((user) => membershipIn(lookup, user) === "join");
  const mayReplace = draft.type !== "m.room.member" && joined.length > 0;
  return mayReplace && dice.chance(85) ? { ...draft, sender: dice.pick(joined) } : draft;
}

function membershipIn(lookup: StateLookup, user: string): unknown {
  return lookup("m.room.member", user)?.content["membership"];
}

function memberDraft(setting: DraftSetting): Draft {
  const { dice, creator } = setting;
  const membership = dice.weighted<unknown>([
    [38, "join"],
    [20, "invite"],
    [18, "leave"],
    [14, "ban"],
    [8, "knock"],
    [1, dice.pick<unknown>(["weird", 5, null, {}, ["join"]])],
  ]);
  const target = dice.pick(dice.chance(2) ? ODD_USERS : USERS);
  const chanceOfSelf = membership === "join" || membership === "knock" ? 93 : 30;
  const self = target.startsWith("@") ? target : creator;
  const draft: Draft = {
    type: "m.room.member",
    sender: dice.chance(chanceOfSelf) ? self : dice.pick(USERS),
    content: dice.chance(99) ? { membership } : {},
    ...(dice.chance(99) && { state_key: target }),
  };
  if (membership === "join" && dice.chance(45)) return withAuthoriser(draft, dice);
  if (membership === "invite" && dice.chance(45)) return byThirdParty(draft, setting, target);
  return draft;
}

function withAuthoriser(draft: Draft, dice: Dice): Draft {
  const authoriser = dice.pick<unknown>(dice.chance(4) ? [...ODD_USERS, 5, null] : USERS);
  return { ...draft, content: { ...draft.content, join_authorised_via_users_server: authoriser } };
}

/** An invitation by a third party: mostly by whoever sent the third party's invite. */
function byThirdParty(draft: Draft, setting: DraftSetting, target: string): Draft {
  const { dice, lookup } = setting;
  const invite = TOKENS.map((token) => lookup("m.room.third_party_invite", token)).find(Boolean);
  return {
    ...draft,
    sender: invite && dice.chance(80) ? invite.sender : draft.sender,
    content: { ...draft.content, third_party_invite: thirdPartyInvite(setting, target) },
  };
}

const TOKENS = ["token1", "token2"] as const;
const KEYS = [1, 2].map((byte) => signingKeyFromSeed("ed25519:0", new Uint8Array(32).fill(byte)));
const PUBLIC_KEYS = KEYS.map(({ publicKey }) => unpaddedBase64(publicKey));
const IDENTITY_SERVER = "id.test" as ServerName;

function thirdPartyInvite({ dice }: DraftSetting, target: string): unknown {
  const malformed = [{}, { display_name: "x" }, { signed: {} }, "x", null];
  if (dice.chance(6)) return dice.pick<unknown>(malformed);
  const mxid = dice.chance(92) ? target : dice.pick(USERS);
  const claim = { mxid, token: dice.pick(TOKENS) };
  const signed = signJson(claim, IDENTITY_SERVER, dice.pick(KEYS));
  if (dice.chance(6)) return { display_name: "x", signed: { ...signed, extra: "unsigned" } };
  if (dice.chance(4)) return { display_name: "x", signed: claim };
  return { display_name: "x", signed };
}

function thirdPartyInviteDraft({ dice }: DraftSetting): Draft {
  const [one, two] = PUBLIC_KEYS;
  const content = dice.weighted<Content>([
    [5, { display_name: "x", public_key: one }],
    [3, { display_name: "x", public_keys: [{ public_key: two }, { public_key: one }] }],
    [2, { display_name: "x", public_key: two, public_keys: [{ public_key: one }] }],
    [1, { display_name: "x" }],
  ]);
  return {
    type: "m.room.third_party_invite",
    sender: dice.pick(USERS),
    state_key: dice.pick(TOKENS),
    content,
  };
}

function powerLevelsDraft({ dice, lookup, rules, creator }: DraftSetting): Draft {
  const current: Pdu | undefined = lookup("m.room.power_levels", "");
  const content =
    current && dice.chance(95)
      ? changedPowerLevels(dice, current.content, rules)
      : firstPowerLevels(dice, creator, rules);
  const state_key = dice.chance(98) ? "" : dice.pick(["other", creator]);
  const draft = { type: "m.room.power_levels", sender: dice.pick(USERS), content };
  return dice.chance(99) ? { ...draft, state_key } : draft;
}

function joinRulesDraft({ dice }: DraftSetting): Draft {
  const join_rule = dice.weighted<unknown>([
    [25, "public"],
    [15, "invite"],
    [15, "knock"],
    [25, "restricted"],
    [18, "knock_restricted"],
    [2, dice.pick<unknown>(["private", "weird", 5, null])],
  ]);
  const content: Content = { join_rule };
  if (dice.chance(30)) content["allow"] = [{ type: "m.room_membership", room_id: "!o:hs1.test" }];
  return { type: "m.room.join_rules", sender: dice.pick(USERS), state_key: "", content };
}

function ordinaryDraft({ dice }: DraftSetting): Draft {
  const type = dice.pick(["m.room.topic", "m.room.name", "m.room.message", "x.custom"]);
  const content: Content = { body: String(dice.below(1000)) };
  if (type === "m.room.message") return { type, sender: dice.pick(USERS), content };
  const state_key = dice.chance(75) ? "" : dice.pick([...USERS, "@", "@ada", "other"]);
  return { type, sender: dice.pick(USERS), state_key, content };
}

function redactionDraft({ dice, anEvent }: DraftSetting): Draft {
  const redacts = dice.pick<unknown>([anEvent, anEvent, anEvent, "$other:hs3.test"]);
  return { type: "m.room.redaction", sender: dice.pick(USERS), content: { redacts }, redacts };
}

function aliasesDraft({ dice }: DraftSetting): Draft {
  const state_key = dice.pick(["hs1.test", "hs2.test", "hs3.test", ""]);
  const draft = { type: "m.room.aliases", sender: dice.pick(USERS), content: { aliases: [] } };
  return dice.chance(90) ? { ...draft, state_key } : draft;
}

function createDraft({ dice, rules, creator }: DraftSetting): Draft {
  return {
    type: "m.room.create",
    sender: dice.pick(USERS),
    state_key: "",
    content: createContent(dice, rules, creator, 30),
  };
}

/** What a create event says; with `odd` percent of each thing that may be wrong being so. */
export function createContent(
  dice: Dice,
  rules: RoomVersionRules,
  creator: string,
  odd: number,
): Content {
  const content: Content = { room_version: rules.version };
  if (rules.creatorInCreateContent || dice.chance(odd)) content["creator"] = creator;
  if (rules.creatorInCreateContent && dice.chance(odd)) delete content["creator"];
  if (dice.chance(odd)) content["room_version"] = dice.pick<unknown>(["1", "12", "no", 10, null]);
  if (dice.chance(10)) content["m.federate"] = dice.chance(35);
  if (dice.chance(rules.privilegedCreators ? 40 : 5)) {
    content["additional_creators"] = dice.chance(odd)
      ? dice.pick<unknown>(["@x:hs1.test", [5], ["nobody"], ["@x:hs$1.test"], [null], {}])
      : dice.some(USERS, 25);
  }
  return content;
}
