import { streamOf } from "./payloads.ts";

/** An answer was quick and wrong. The run does not count. */
export class DeliveryError extends Error {
  override readonly name = "DeliveryError";
}

/** What one member has seen, in the order in which it came. */
export type Seen = { readonly who: string; readonly marks: readonly number[] };

/** How many faults are told before the rest is only counted. */
const TOLD_FAULTS = 5;

/**
 * Checks that every event reached every member exactly once and in a valid order: all members see the same order, and what
 * was sent after the answer to something else stands after it.
 *
 * @param sent marks of the events that the server has acknowledged; those of one stream were sent one after another
 * @returns the faults in words; none when all is well
 */
export function deliveryFaults(sent: readonly number[], members: readonly Seen[]): string[] {
  const expected = new Set(sent);
  const faults: string[] = [];
  const reference = members[0];
  if (reference === undefined) return ["nobody was there to receive anything"];
  for (const member of members) {
    faults.push(...countFaults(expected, member));
  }
  if (faults.length > 0) return faults;
  faults.push(...orderFaults(reference));
  for (const member of members) {
    const at = member.marks.findIndex((mark, index) => mark !== reference.marks[index]);
    if (at < 0) continue;
    faults.push(`${member.who} saw another order than ${reference.who} from event ${at} on`);
  }
  return faults;
}

/** @throws DeliveryError with the first few of these faults. */
export function refuseFaults(faults: readonly string[]): void {
  if (faults.length === 0) return;
  const told = faults.slice(0, TOLD_FAULTS).join("; ");
  const rest = faults.length - TOLD_FAULTS;
  throw new DeliveryError(rest > 0 ? `${told}; and ${rest} more` : told);
}

function countFaults(expected: ReadonlySet<number>, { who, marks }: Seen): string[] {
  const faults: string[] = [];
  const seen = new Set<number>();
  for (const mark of marks) {
    if (seen.has(mark)) faults.push(`${who} got event ${mark} twice`);
    else if (!expected.has(mark)) faults.push(`${who} got ${mark}, which was not acknowledged`);
    seen.add(mark);
  }
  const missing = expected.difference(seen);
  if (missing.size > 0) {
    const [first] = missing;
    faults.push(
      `${who} did not get ${missing.size} of ${expected.size} events, the first ${first}`,
    );
  }
  return faults;
}

function orderFaults({ who, marks }: Seen): string[] {
  const last = new Map<number, number>();
  for (const mark of marks) {
    const before = last.get(streamOf(mark));
    if (before !== undefined && before > mark) {
      return [`${who} got event ${mark} after ${before}, which was sent later`];
    }
    last.set(streamOf(mark), mark);
  }
  return [];
}
