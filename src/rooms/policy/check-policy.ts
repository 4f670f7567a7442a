import { pduOf } from "#src/events/parse-pdu.ts";
import type { WireEvent } from "#src/events/pdu.ts";
import { wireText } from "#src/events/wire-text.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import type { ReceivedEvent } from "../received/received-event.ts";
import { askToSign } from "./ask-to-sign.ts";
import { isExempt, isRecommended, policyServerOf } from "./policy-server.ts";

/** How many events a policy server is asked about at once. */
const AT_ONCE = 10;

const REFUSED = "the room's policy server has not signed it";

/**
 * Check 7 on receipt, as far as it takes other servers: what the room's policy server has not signed, it is
 * asked to. Nothing is asked where a room has none.
 *
 * @param until gives up asking.
 * @returns the events, each signed, or with why it is not wanted; without those for which there was no time to ask, of which
 *   nothing is known.
 * @spec server-server-api#checks-performed-on-receipt-of-a-pdu
 */
export async function checkPolicy(
  hs: Homeserver,
  room: Room,
  events: readonly ReceivedEvent[],
  until?: AbortSignal,
): Promise<readonly ReceivedEvent[]> {
  const policy = await policyServerOf(hs, room);
  if (!policy) return events;
  const known = await findEvents(
    hs,
    events.map((it) => it.event.event_id),
  );
  const isOver = () => until?.aborted === true || hs.stopping.aborted;
  const checkOne = async (it: ReceivedEvent): Promise<ReceivedEvent | undefined> => {
    if (isExempt(it.event, policy) || known.get(it.event.event_id)?.anchor !== undefined) return it;
    const wire = parseWireJson(it.json) as WireEvent;
    if (await isRecommended(wire, room, policy)) return it;
    const signed = await askToSign(hs, { room, policy }, wire, until ? { signal: until } : {});
    if (!signed.ok) return isOver() ? undefined : { ...it, refusedByPolicy: REFUSED };
    const event = pduOf(it.event.event_id, signed.wire, room.rules);
    return { ...it, event, json: wireText(signed.wire, room.rules) };
  };
  const checked: ReceivedEvent[] = [];
  for (let at = 0; at < events.length; at += AT_ONCE) {
    const some = await Promise.all(events.slice(at, at + AT_ONCE).map(checkOne));
    checked.push(...some.filter((it) => it !== undefined));
  }
  return checked;
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
      return (await isRecommended(wire, room, policy)) ? it : { ...it, refusedByPolicy: REFUSED };
    }),
  );
}
