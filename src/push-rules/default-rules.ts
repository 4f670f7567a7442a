import type { UserId } from "#src/kit/identifiers.ts";
import type { Action, Condition, PushRule, RuleKind } from "./push-rule.ts";
import { THREAD_RULES } from "./thread-rules.ts";

const SOUND: Action = { set_tweak: "sound", value: "default" };
const RING: Action = { set_tweak: "sound", value: "ring" };
const HIGHLIGHT: Action = { set_tweak: "highlight" };
const ONE_TO_ONE: Condition = { kind: "room_member_count", is: "2" };

const matches = (key: string, pattern: string): Condition => ({
  kind: "event_match",
  key,
  pattern,
});
const ofType = (pattern: string): Condition => matches("type", pattern);

function rule(
  rule_id: string,
  conditions: readonly Condition[],
  actions: readonly Action[],
): PushRule {
  return { rule_id, default: true, enabled: true, conditions, actions };
}

/** The rule that stands above all others, also the user's own. */
export const MASTER: PushRule = { ...rule(".m.rule.master", [], []), enabled: false };

/**
 * The rules that every user has, below their own: those of the specification in its order, and those
 * for polls (MSC3930) and encrypted events (MSC4028), which clients of today rely on though no release has them.
 *
 * @spec client-server-api#predefined-rules
 */
export function defaultRules(userId: UserId): Readonly<Record<RuleKind, readonly PushRule[]>> {
  return {
    override: [...BEFORE_USER, ...rulesAboutUser(userId), ...AFTER_USER],
    content: [],
    postcontent: THREAD_RULES,
    room: [],
    sender: [],
    underride: UNDERRIDE,
  };
}

const BEFORE_USER = [
  // Of MSC4028. Whom it is for switches it on: then the client, which alone can read it, decides.
  {
    ...rule(".org.matrix.msc4028.encrypted_event", [ofType("m.room.encrypted")], ["notify"]),
    enabled: false,
  },
  rule(".m.rule.suppress_notices", [matches("content.msgtype", "m.notice")], []),
];

function rulesAboutUser(userId: UserId): PushRule[] {
  return [
    rule(
      ".m.rule.invite_for_me",
      [
        ofType("m.room.member"),
        matches("content.membership", "invite"),
        matches("state_key", userId),
      ],
      ["notify", SOUND],
    ),
    rule(".m.rule.member_event", [ofType("m.room.member")], []),
    rule(
      ".m.rule.is_user_mention",
      [
        {
          kind: "event_property_contains",
          key: String.raw`content.m\.mentions.user_ids`,
          value: userId,
        },
      ],
      ["notify", SOUND, HIGHLIGHT],
    ),
  ];
}

const AFTER_USER = [
  rule(
    ".m.rule.is_room_mention",
    [
      { kind: "event_property_is", key: String.raw`content.m\.mentions.room`, value: true },
      { kind: "sender_notification_permission", key: "room" },
    ],
    ["notify", HIGHLIGHT],
  ),
  rule(
    ".m.rule.tombstone",
    [ofType("m.room.tombstone"), matches("state_key", "")],
    ["notify", HIGHLIGHT],
  ),
  rule(".m.rule.reaction", [ofType("m.reaction")], []),
  rule(".m.rule.room.server_acl", [ofType("m.room.server_acl"), matches("state_key", "")], []),
  rule(
    ".m.rule.suppress_edits",
    [
      {
        kind: "event_property_is",
        key: String.raw`content.m\.relates_to.rel_type`,
        value: "m.replace",
      },
    ],
    [],
  ),
  rule(".org.matrix.msc3930.rule.poll_response", [ofType("org.matrix.msc3381.poll.response")], []),
];

const UNDERRIDE = [
  rule(".m.rule.call", [ofType("m.call.invite")], ["notify", RING]),
  rule(
    ".m.rule.encrypted_room_one_to_one",
    [ONE_TO_ONE, ofType("m.room.encrypted")],
    ["notify", SOUND],
  ),
  rule(".m.rule.room_one_to_one", [ONE_TO_ONE, ofType("m.room.message")], ["notify", SOUND]),
  rule(".m.rule.message", [ofType("m.room.message")], ["notify"]),
  rule(".m.rule.encrypted", [ofType("m.room.encrypted")], ["notify"]),
  rule(
    ".org.matrix.msc3930.rule.poll_start_one_to_one",
    [ONE_TO_ONE, ofType("org.matrix.msc3381.poll.start")],
    ["notify", SOUND],
  ),
  rule(
    ".org.matrix.msc3930.rule.poll_start",
    [ofType("org.matrix.msc3381.poll.start")],
    ["notify"],
  ),
  rule(
    ".org.matrix.msc3930.rule.poll_end_one_to_one",
    [ONE_TO_ONE, ofType("org.matrix.msc3381.poll.end")],
    ["notify", SOUND],
  ),
  rule(".org.matrix.msc3930.rule.poll_end", [ofType("org.matrix.msc3381.poll.end")], ["notify"]),
];
