import { ALICE, CAROL, type Case, versions } from "./room.ts";

const create = { type: "m.room.create", state_key: "", sender: ALICE, prev_events: [] } as const;
const before12 = { ...create, content: { creator: ALICE } };
/** As `parsePdu` reads a create event that has no room ID. */
const in12 = { ...create, event_id: "$hash", room_id: "!hash" } as const;
const inAll = { ...create, event_id: "$hash:hs1.test", room_id: "!hash:hs1.test" } as const;

/** Rule 1: creating a room. @spec rooms/v12#authorisation-rules 1 */
export const CREATE: readonly Case[] = [
  {
    rule: "1.1",
    versions: versions(1),
    allowed: false,
    what: "with a previous event",
    when: { ...before12, prev_events: ["$previous:hs1.test"] },
  },
  {
    rule: "v11:1.2",
    versions: versions(1, 11),
    allowed: false,
    what: "in a room ID of another server",
    when: { ...before12, room_id: "!room:hs2.test" },
  },
  {
    rule: "v11:1.2",
    versions: versions(1, 11),
    allowed: false,
    what: "in a room ID without a server",
    when: { ...before12, room_id: "!room" },
  },
  {
    rule: "1.2",
    versions: versions(12),
    allowed: false,
    what: "with a room ID",
    when: { ...in12, room_id: "!other" },
  },
  ...["13", "org.example", 12, null].map((room_version) => ({
    rule: "1.3" as const,
    versions: versions(1),
    allowed: false,
    what: `with room version ${JSON.stringify(room_version)}`,
    when: { ...inAll, content: { creator: ALICE, room_version } },
  })),
  {
    rule: "v10:1.4",
    versions: versions(1, 10),
    allowed: false,
    what: "without a creator",
    when: { ...create, content: {} },
  },
  ...[CAROL, ["carol"], ["@carol:hs$1.test"], [CAROL, 5], { [CAROL]: 1 }, null].map(
    (additional_creators) => ({
      rule: "1.4" as const,
      versions: versions(12),
      allowed: false,
      what: `with additional creators ${JSON.stringify(additional_creators)}`,
      when: { ...in12, content: { additional_creators } },
    }),
  ),
  {
    rule: "1.5",
    versions: versions(1, 10),
    allowed: true,
    what: "as it should be",
    when: { ...before12, content: { creator: ALICE, room_version: "6" } },
  },
  { rule: "1.5", versions: ["11"], allowed: true, what: "without a creator", when: create },
  {
    rule: "1.5",
    versions: versions(12),
    allowed: true,
    what: "with more creators",
    when: { ...in12, content: { additional_creators: [CAROL, "@:hs1.test"] } },
  },
];
