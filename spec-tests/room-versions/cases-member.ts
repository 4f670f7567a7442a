import { JOIN } from "./cases-member-join.ts";
import { ALICE, BOB, CAROL, type Case, member, versions } from "./room.ts";

const ALL = versions(1);
const MODERATOR = { users: { [ALICE]: 100, [BOB]: 50 }, invite: 50 };

/** Rules 5.1, 5.2 and 5.8. @spec rooms/v12#authorisation-rules 5 */
const SHAPE: readonly Case[] = [
  {
    rule: "5.1",
    versions: ALL,
    allowed: false,
    what: "a membership of nobody",
    when: { type: "m.room.member", content: { membership: "join" } },
  },
  {
    rule: "5.1",
    versions: ALL,
    allowed: false,
    what: "no membership",
    when: { type: "m.room.member", state_key: ALICE },
  },
  {
    rule: "5.2.1",
    versions: versions(8),
    allowed: false,
    what: "authorised by no user",
    given: { joinRule: "public" },
    when: member(BOB, "join", { join_authorised_via_users_server: "hs1.test" }),
  },
  ...["kick", 5, null, {}].map((membership) => ({
    rule: "5.8" as const,
    versions: ALL,
    allowed: false,
    what: `membership ${JSON.stringify(membership)}`,
    when: { ...member(ALICE, ""), content: { membership } },
  })),
  {
    rule: "5.8",
    versions: versions(1, 6),
    allowed: false,
    what: "knocking before there was such a thing",
    given: { joinRule: "knock" },
    when: member(BOB, "knock"),
  },
];

/** @spec rooms/v12#authorisation-rules 5.4 */
const INVITE: readonly Case[] = [
  {
    rule: "5.4.2",
    versions: ALL,
    allowed: false,
    what: "by one who has not joined",
    given: { members: { [BOB]: "invite" } },
    when: member(CAROL, "invite", { by: BOB }),
  },
  ...["join", "ban"].map((membership) => ({
    rule: "5.4.3" as const,
    versions: ALL,
    allowed: false,
    what: `of one whose membership is ${membership}`,
    given: { members: { [BOB]: membership } },
    when: member(BOB, "invite", { by: ALICE }),
  })),
  ...["leave", "invite", "knock"].map((membership) => ({
    rule: "5.4.4" as const,
    versions: ALL,
    allowed: true,
    what: `of one whose membership is ${membership}`,
    given: { members: { [BOB]: "join", [CAROL]: membership } },
    when: member(CAROL, "invite", { by: BOB }),
  })),
  {
    rule: "5.4.5",
    versions: ALL,
    allowed: false,
    what: "by one who may not",
    given: { members: { [BOB]: "join" }, levels: { invite: 1 } },
    when: member(CAROL, "invite", { by: BOB }),
  },
];

/** @spec rooms/v12#authorisation-rules 5.5 */
const LEAVE: readonly Case[] = [
  ...["invite", "join"].map((membership) => ({
    rule: "5.5.1" as const,
    versions: ALL,
    allowed: true,
    what: `from ${membership}`,
    given: { members: { [BOB]: membership } },
    when: member(BOB, "leave"),
  })),
  {
    rule: "5.5.1",
    versions: versions(7),
    allowed: true,
    what: "from knock",
    given: { members: { [BOB]: "knock" } },
    when: member(BOB, "leave"),
  },
  {
    rule: "5.5.1",
    versions: versions(1, 6),
    allowed: false,
    what: "from knock, before there was such a thing",
    given: { members: { [BOB]: "knock" } },
    when: member(BOB, "leave"),
  },
  ...["ban", "leave"].map((membership) => ({
    rule: "5.5.1" as const,
    versions: ALL,
    allowed: false,
    what: `from ${membership}`,
    given: { members: { [BOB]: membership } },
    when: member(BOB, "leave"),
  })),
  {
    rule: "5.5.2",
    versions: ALL,
    allowed: false,
    what: "a kick by one who has not joined",
    given: { members: { [CAROL]: "join" } },
    when: member(CAROL, "leave", { by: BOB }),
  },
  {
    rule: "5.5.3",
    versions: ALL,
    allowed: false,
    what: "an unban by one who may kick, and no more",
    given: {
      members: { [BOB]: "join", [CAROL]: "ban" },
      levels: { users: { [BOB]: 50 }, ban: 51, kick: 50 },
    },
    when: member(CAROL, "leave", { by: BOB }),
  },
  ...["join", "invite", "ban", "knock"].map((membership) => ({
    rule: "5.5.4" as const,
    versions: ALL,
    allowed: true,
    what: `a kick from ${membership}`,
    given: { members: { [BOB]: "join", [CAROL]: membership }, levels: MODERATOR },
    when: member(CAROL, "leave", { by: BOB }),
  })),
  {
    rule: "5.5.5",
    versions: ALL,
    allowed: false,
    what: "a kick by one who may not",
    given: { members: { [BOB]: "join", [CAROL]: "join" }, levels: { users: { [BOB]: 49 } } },
    when: member(CAROL, "leave", { by: BOB }),
  },
  {
    rule: "5.5.5",
    versions: ALL,
    allowed: false,
    what: "a kick of one who has the same power",
    given: {
      members: { [BOB]: "join", [CAROL]: "join" },
      levels: { users: { [BOB]: 50, [CAROL]: 50 } },
    },
    when: member(CAROL, "leave", { by: BOB }),
  },
  {
    rule: "5.5.5",
    versions: versions(12),
    allowed: false,
    what: "a kick of one creator by another",
    given: { create: { additional_creators: [BOB] }, members: { [BOB]: "join" } },
    when: member(ALICE, "leave", { by: BOB }),
  },
];

/** @spec rooms/v12#authorisation-rules 5.6 */
const BAN: readonly Case[] = [
  {
    rule: "5.6.1",
    versions: ALL,
    allowed: false,
    what: "by one who has not joined",
    when: member(CAROL, "ban", { by: BOB }),
  },
  {
    rule: "5.6.2",
    versions: ALL,
    allowed: true,
    what: "by one who may, of one who has never been there",
    given: { members: { [BOB]: "join" }, levels: MODERATOR },
    when: member(CAROL, "ban", { by: BOB }),
  },
  {
    rule: "5.6.2",
    versions: versions(12),
    allowed: true,
    what: "by a creator, whatever the levels are",
    given: { levels: { ban: 101, users: { [BOB]: 1000 } }, members: { [BOB]: "join" } },
    when: member(BOB, "ban", { by: ALICE }),
  },
  {
    rule: "5.6.3",
    versions: ALL,
    allowed: false,
    what: "by one who may not",
    given: { members: { [BOB]: "join" } },
    when: member(CAROL, "ban", { by: BOB }),
  },
  {
    rule: "5.6.3",
    versions: ALL,
    allowed: false,
    what: "of oneself",
    given: { members: { [BOB]: "join" }, levels: MODERATOR },
    when: member(BOB, "ban"),
  },
];

/** @spec rooms/v12#authorisation-rules 5.7 */
const KNOCK: readonly Case[] = [
  ...["invite", "public", "restricted"].map((joinRule) => ({
    rule: "5.7.1" as const,
    versions: versions(7),
    allowed: false,
    what: `where the join rule is ${joinRule}`,
    given: { joinRule },
    when: member(BOB, "knock"),
  })),
  {
    rule: "5.7.1",
    versions: versions(7, 9),
    allowed: false,
    what: "by knock_restricted, before there was such a thing",
    given: { joinRule: "knock_restricted" },
    when: member(BOB, "knock"),
  },
  {
    rule: "5.7.2",
    versions: versions(7),
    allowed: false,
    what: "for another",
    given: { joinRule: "knock" },
    when: member(BOB, "knock", { by: ALICE }),
  },
  ...["leave", "knock"].map((membership) => ({
    rule: "5.7.3" as const,
    versions: versions(7),
    allowed: true,
    what: `from ${membership}`,
    given: { joinRule: "knock", members: { [BOB]: membership } },
    when: member(BOB, "knock"),
  })),
  {
    rule: "5.7.3",
    versions: versions(10),
    allowed: true,
    what: "where the join rule is knock_restricted",
    given: { joinRule: "knock_restricted" },
    when: member(BOB, "knock"),
  },
  ...["ban", "invite", "join"].map((membership) => ({
    rule: "5.7.4" as const,
    versions: versions(7),
    allowed: false,
    what: `from ${membership}`,
    given: { joinRule: "knock", members: { [BOB]: membership } },
    when: member(BOB, "knock"),
  })),
];

/** Rule 5, but for invitations of third parties. */
export const MEMBER = [...SHAPE, ...JOIN, ...INVITE, ...LEAVE, ...BAN, ...KNOCK];
