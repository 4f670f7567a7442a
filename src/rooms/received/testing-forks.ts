/** Rooms of other servers that go random ways. For tests alone. */

import fc from "fast-check";
import type { EventDraft } from "#src/events/build-event.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { RemoteRoom } from "./testing.ts";

/** Those who are in a `forkedRoom`. */
export const USERS: readonly UserId[] = [
  "@creator:one.test",
  "@bob:two.test",
  "@carol:three.test",
  "@local:test",
];

export type Step = {
  readonly sender: number;
  readonly target: number;
  readonly kind: string;
  readonly level: number;
  /** How far back from the newest the events are that it follows, and the one that it redacts if it does. */
  readonly back: readonly number[];
  readonly redacts: number;
};

/** What happens in a room. */
export const steps = fc.array(
  fc.record({
    sender: fc.nat(3),
    target: fc.nat(3),
    kind: fc.constantFrom(
      "message",
      "topic",
      "name",
      "levels",
      "join",
      "leave",
      "kick",
      "ban",
      "rules",
      "redaction",
      "redaction",
    ),
    level: fc.constantFrom(0, 50, 100),
    back: fc.array(fc.nat(5), { minLength: 1, maxLength: 3 }),
    redacts: fc.nat(5),
  }),
  { minLength: 4, maxLength: 22 },
);

function draftOf({ kind, sender, target, level }: Step, index: number): EventDraft {
  const own = USERS[sender] ?? "@a:b";
  const theirs = USERS[target] ?? "@a:b";
  const member = (user: UserId, membership: string) => ({
    type: "m.room.member",
    state_key: user,
    content: { membership },
  });
  switch (kind) {
    case "topic":
      return { type: "m.room.topic", state_key: "", content: { topic: `${index}` } };
    case "name":
      return { type: "m.room.name", state_key: "", content: { name: `${index}` } };
    case "rules":
      return {
        type: "m.room.join_rules",
        state_key: "",
        content: { join_rule: level === 0 ? "invite" : "public" },
      };
    case "levels":
      return {
        type: "m.room.power_levels",
        state_key: "",
        content: { users: { [theirs]: level, [own]: 100 }, events: { "m.room.topic": level } },
      };
    case "join":
    case "leave":
      return member(own, kind);
    case "kick":
      return member(theirs, "leave");
    case "ban":
      return member(theirs, "ban");
    default:
      return { type: "m.room.message", content: { body: `${index}` } };
  }
}

function redactionOf(redacts: EventId): EventDraft {
  return { type: "m.room.redaction", content: {}, redacts };
}

let rooms = 0;

/** A room in which everybody is, and which then goes its random ways. */
export function forkedRoom(version: string, its: readonly Step[]) {
  const room = new RemoteRoom(version, `room${rooms++}`);
  let last = room.begin(USERS[0] as UserId, { "@bob:two.test": 100, "@carol:three.test": 50 });
  for (const user of USERS.slice(1)) {
    const draft = { type: "m.room.member", state_key: user, content: { membership: "join" } };
    last = room.add(user, draft, [last]);
  }
  const basis = [...room.events.keys()];
  const tips = [last];
  for (const [index, step] of its.entries()) {
    const prev = [...new Set(step.back.map((n) => tips.at(-1 - n) ?? last))];
    const target = tips.at(-1 - step.redacts) ?? last;
    const draft = step.kind === "redaction" ? redactionOf(target) : draftOf(step, index);
    tips.push(room.add(USERS[step.sender] as UserId, draft, prev));
  }
  return { room, basis, later: tips.slice(1) };
}

/** Events in a random order, by ranks, in batches of random sizes. */
export function inBatches(
  ids: readonly EventId[],
  { shuffle, sizes }: { shuffle: readonly number[]; sizes: readonly number[] },
): EventId[][] {
  const order = ids
    .map((id, index) => ({ id, rank: shuffle[index] ?? 0 }))
    .toSorted((a, b) => a.rank - b.rank)
    .map((it) => it.id);
  const batches: EventId[][] = [];
  for (let at = 0, index = 0; at < order.length; index++) {
    const size = sizes[index] ?? 1;
    batches.push(order.slice(at, at + size));
    at += size;
  }
  return batches;
}
