import type { Request } from "./call.ts";
import type { Device } from "./cast.ts";

/** Whether a request was answered with 200, or nobody knows whether it was carried out. What was refused is no deed. */
export type Fate = "done" | "unknown";

type Deed = { readonly fate: Fate };

/** A request with a transaction ID that sends an event. */
export type Send = {
  readonly kind: "message" | "redaction";
  readonly roomId: string;
  readonly request: Request;
  /** Of a redaction: the event that it redacts. */
  readonly target?: string;
  /** As it was answered. Undefined while that is not known. */
  eventId?: string;
};

/** State that was set; `n` is in its content and nowhere else. */
export type StateDeed = Deed & {
  readonly roomId: string;
  readonly n: number;
  readonly eventId?: string;
};

export type MembershipDeed = Deed & { readonly membership: "join" | "leave" };

/** A request with a transaction ID that sends a message to devices. */
export type Direct = {
  readonly from: Device;
  readonly to: readonly Device[];
  readonly n: number;
  readonly request: Request;
  /** Whether it was answered the first time. */
  readonly fate: Fate;
};

/** Something that has one value, which was set. */
export type ValueDeed<T> = Deed & { readonly value: T };

/** All that was asked of the servers in a trial and may have been carried out, in order for each who asked. */
export class Deeds {
  readonly sends: Send[] = [];
  readonly states: StateDeed[] = [];
  readonly directs: Direct[] = [];
  readonly newRooms: string[] = [];
  /** By room ID and user ID. */
  readonly memberships = new Map<string, MembershipDeed[]>();
  /** By the request that sets it. */
  readonly accountData = new Map<string, { device: Device; values: ValueDeed<number>[] }>();
  /** Event IDs, by room ID and user ID. */
  readonly receipts = new Map<string, ValueDeed<string>[]>();
  #count = 0;

  /** A number that was never given before in this trial. */
  nextNumber(): number {
    return ++this.#count;
  }
}

export function keyOf(roomId: string, userId: string): string {
  return `${roomId} ${userId}`;
}

/** Adds to a list in a map, which is made if it is not there. */
export function addTo<T>(lists: Map<string, T[]>, key: string, it: T): void {
  const list = lists.get(key);
  if (list) list.push(it);
  else lists.set(key, [it]);
}

/**
 * The values that something may have after it was set, by one who waited for each answer: the last that was
 * answered, or any that nobody knows of, since what a killed process has asked of the database may be carried out late.
 */
export function possibleValues<T>(deeds: readonly ValueDeed<T>[]): Set<T> {
  const last = deeds.findLast((it) => it.fate === "done");
  const unknown = deeds.filter((it) => it.fate === "unknown");
  return new Set([...(last ? [last] : []), ...unknown].map((it) => it.value));
}

/**
 * Whether a user's member events of a room are those that their deeds can have brought about. One that changes
 * nothing brings none about, one that nobody knows of may have.
 */
export function explainsMemberships(
  deeds: readonly MembershipDeed[],
  events: readonly string[],
): boolean {
  /** After how many events each deed may have found things, with the last of them as the membership. */
  let reached = new Set([0]);
  for (const { membership, fate } of deeds) {
    const next = new Set<number>();
    for (const count of reached) {
      const isSo = (events[count - 1] ?? "leave") === membership;
      if (isSo || fate === "unknown") next.add(count);
      if (!isSo && events[count] === membership) next.add(count + 1);
    }
    reached = next;
  }
  return reached.has(events.length);
}
