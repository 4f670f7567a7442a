import { pduOf } from "#src/events/parse-pdu.ts";
import type { WireEvent } from "#src/events/pdu.ts";
import { wireText } from "#src/events/wire-text.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import type { ReceivedEvent } from "../received/received-event.ts";
import { askToSign, isSilence } from "./ask-to-sign.ts";
import { isExempt, isRecommended, policyServerOf } from "./policy-server.ts";

/** How many events a policy server is asked about at once. */
const AT_ONCE = 10;

const REFUSED = "the room's policy server has not signed it";

export type AskingPolicy = {
  /** Gives up asking. */
  readonly until?: AbortSignal;
  /** Of which events it is not waited any longer for a policy server that cannot be asked now. */
  readonly isOverdue: (eventId: EventId) => boolean;
};

/** An event that was asked about, and why nothing is known of it, if so. */
type Asked = { readonly it: ReceivedEvent; readonly undecided?: "no time" | "silence" };

/**
 * Check 7 on receipt, as far as it takes other servers: what the room's policy server has not signed, it is
 * asked to. Nothing is asked where a room has none.
 *
 * What it cannot be asked about now may be asked about later: it is no recommendation against an event that a server is away
 * for a while, and whoever is soft-failed stays so. But nothing else waits for that.
 *
 * @returns the events, each signed, or with why it is not wanted; without those for which there was no time to ask, or that the
 *   policy server cannot be asked about now, of which nothing is known.
 * @spec server-server-api#checks-performed-on-receipt-of-a-pdu
 */
export async function checkPolicy(
  hs: Homeserver,
  room: Room,
  events: readonly ReceivedEvent[],
  { until, isOverdue }: AskingPolicy,
): Promise<readonly ReceivedEvent[]> {
  const policy = await policyServerOf(hs, room);
  if (!policy) return events;
  const known = await findEvents(
    hs,
    events.map((it) => it.event.event_id),
  );
  const isOver = () => until?.aborted === true || hs.stopping.aborted;
  let isAway = false;
  const checkOne = async (it: ReceivedEvent): Promise<Asked> => {
    if (isExempt(it.event, policy) || known.get(it.event.event_id)?.anchor !== undefined) {
      return { it };
    }
    const wire = parseWireJson(it.json) as WireEvent;
    if (await isRecommended(wire, room, policy)) return { it };
    // Who was away a moment ago is not waited for once more.
    if (isAway) return { it, undecided: "silence" };
    const signed = await askToSign(hs, { room, policy }, wire, until ? { signal: until } : {});
    if (signed.ok) {
      const event = pduOf(it.event.event_id, signed.wire, room.rules);
      return { it: { ...it, event, json: wireText(signed.wire, room.rules) } };
    }
    if (isOver()) return { it, undecided: "no time" };
    // This server is no policy server, and will be none later.
    const isSilent = policy.server !== hs.name && isSilence(signed.answer);
    isAway ||= isSilent;
    return isSilent ? { it, undecided: "silence" } : { it: refused(it) };
  };
  const asked: Asked[] = [];
  for (let at = 0; at < events.length; at += AT_ONCE) {
    asked.push(...(await Promise.all(events.slice(at, at + AT_ONCE).map(checkOne))));
  }
  return decidedOf(asked, isOverdue);
}

/** Those of which something is known, or has to be said now. */
function decidedOf(
  asked: readonly Asked[],
  isOverdue: AskingPolicy["isOverdue"],
): readonly ReceivedEvent[] {
  const waits = ({ it, undecided }: Asked) =>
    undecided === "silence" && !isOverdue(it.event.event_id);
  const waiting = new Map(asked.filter(waits).map(({ it }) => [it.event.event_id, it]));
  // What others stand on that can be taken in would hold those up: among them the one that ends the policy server's say.
  const held = asked
    .filter((own) => own.undecided !== "no time" && !waits(own))
    .map(({ it }) => it);
  for (let own = held.pop(); own; own = held.pop()) {
    for (const id of [...own.event.prev_events, ...own.event.auth_events]) {
      const stoodOn = waiting.get(id);
      if (!stoodOn) continue;
      waiting.delete(id);
      held.push(stoodOn);
    }
  }
  return asked.flatMap(({ it, undecided }) => {
    if (undecided === undefined) return [it];
    return undecided === "no time" || waiting.has(it.event.event_id) ? [] : [refused(it)];
  });
}

function refused(it: ReceivedEvent): ReceivedEvent {
  return { ...it, refusedByPolicy: REFUSED };
}

/** The same of events that were asked about when they came: nobody is asked again. */
export async function checkPolicyAgain(
  hs: Homeserver,
  room: Room,
  events: readonly ReceivedEvent[],
): Promise<readonly ReceivedEvent[]> {
  const policy = events.length > 0 ? await policyServerOf(hs, room) : undefined;
  if (!policy) return events;
  return await Promise.all(
    events.map(async (it) => {
      if (isExempt(it.event, policy)) return it;
      const wire = parseWireJson(it.json) as WireEvent;
      return (await isRecommended(wire, room, policy)) ? it : refused(it);
    }),
  );
}
