import { pduOf } from "#src/events/parse-pdu.ts";
import { wireText } from "#src/events/wire-text.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { afterOthers } from "#src/kit/after-others.ts";
import { type Errcode, MatrixError } from "#src/kit/matrix-error.ts";
import { write } from "#src/streams/write.ts";
import { eventsStream } from "../events-stream.ts";
import type { Room } from "../find-room.ts";
import { neededPairs } from "../needed-pairs.ts";
import { headOf } from "../received/head-of.ts";
import { forgetHead, loadState } from "../room-head.ts";
import { type NewEvent, RoomInMaking } from "../room-in-making.ts";
import type { RoomWrite, RoomWritten } from "../room-write.ts";
import { askToSign, type PolicySigned } from "./ask-to-sign.ts";
import { isExempt, POLICIES, policyServerOf } from "./policy-server.ts";

/** Says that events cannot be built in the lane, since the room's policy server has to sign them before. */
class PolicyWanted extends Error {}

/** Says that a room has moved on while its policy server signed. */
class RoomMoved extends Error {}

/** How often it is tried to be quicker than others who write to the room. */
const MOST_TRIES = 30;

const turnsOf = held(() => new Map<number, Promise<unknown>>());

/**
 * Writes events to a room by the one door there is. If the room has a policy server, that signs them
 * first: they are built on the room as it is known, and are stored only on that.
 *
 * @throws MatrixError what the policy server says, if it does not sign.
 * @spec server-server-api#policy-servers
 */
export async function writeEvents(hs: Homeserver, it: RoomWrite): Promise<RoomWritten> {
  const { room } = it;
  if (!("roomKey" in room)) return (await write(hs, eventsStream, it)) as RoomWritten;
  try {
    return (await write(hs, eventsStream, {
      ...it,
      build: (to) => buildUnsigned(it, to),
    })) as RoomWritten;
  } catch (error) {
    if (!(error instanceof PolicyWanted)) throw error;
  }
  // One by one, so that those of this process do not stand in each other's way.
  return await afterOthers(turnsOf(hs), room.roomKey, async () => await writeSigned(hs, room, it));
}

/** Builds the events if nobody has to sign them. */
function buildUnsigned(it: RoomWrite, making: RoomInMaking): void {
  const before = making.added.length;
  const hasPolicy = POLICIES.some((pair) => making.lookup(...pair));
  it.build(making);
  // What would be exempt by the old name alone is seen to where it is signed.
  const isExemptBoth = ({ event }: NewEvent) => isExempt(event, { isOld: false });
  if (hasPolicy && !making.added.slice(before).every(isExemptBoth)) throw new PolicyWanted();
}

async function writeSigned(hs: Homeserver, room: Room, it: RoomWrite): Promise<RoomWritten> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const policy = await policyServerOf(hs, room);
    if (!policy) return (await write(hs, eventsStream, it)) as RoomWritten;
    const head = await headOf(hs, room);
    await loadState(hs, hs.sql, head, neededPairs([it]));
    const making = new RoomInMaking(hs, room.rules, head);
    it.build(making);
    const signed: NewEvent[] = [];
    for (const event of making.added) signed.push(await signedByPolicy(hs, room, event));
    const build = (to: RoomInMaking) => {
      if (!to.standsOn(head)) throw new RoomMoved();
      to.adopt(signed);
    };
    try {
      return (await write(hs, eventsStream, { ...it, build })) as RoomWritten;
    } catch (error) {
      if (!(error instanceof RoomMoved)) throw error;
      forgetHead(hs, room.roomKey);
    }
  }
  throw new MatrixError("M_LIMIT_EXCEEDED", "Too much is being sent to this room", {
    fields: { retry_after_ms: 1_000 },
  });
}

/**
 * An event of ours with the signature of the room's policy server, if the room is using one.
 *
 * @throws MatrixError what the policy server says, if it does not sign.
 */
export async function signedByPolicy(hs: Homeserver, room: Room, own: NewEvent): Promise<NewEvent> {
  const policy = await policyServerOf(hs, room);
  if (!policy || isExempt(own.event, policy)) return own;
  const signed = await askToSign(hs, { room, policy }, own.wire);
  if (!signed.ok) throw refusalOf(policy.server, signed);
  const { wire } = signed;
  const event = pduOf(own.event.event_id, wire, room.rules);
  return { ...own, wire, event, json: wireText(wire, room.rules) };
}

/** What a policy server may say to a sender. */
const PASSED_ON: readonly Errcode[] = ["M_FORBIDDEN", "M_LIMIT_EXCEEDED", "M_BAD_JSON"];

/** What it says if it is none, or does not know the room: as ours, a sender would take it to be about their own request. */
const NOT_POLICING: readonly string[] = ["M_UNRECOGNIZED", "M_NOT_FOUND"];

function refusalOf(server: string, { answer }: Extract<PolicySigned, { ok: false }>): MatrixError {
  if (answer.why !== "refused" || answer.status >= 500) {
    const message = `The room's policy server ${server} could not be asked`;
    const cause = answer.why === "refused" ? `it answered ${answer.status}` : answer.cause;
    return new MatrixError("M_UNKNOWN", message, { status: 502, cause });
  }
  if (answer.status === 404 || NOT_POLICING.includes(answer.errcode)) {
    const message = `${server}, which this room names as its policy server, is none or does not know the room`;
    return new MatrixError("M_FORBIDDEN", message);
  }
  const { error } = answer.body;
  const errcode = PASSED_ON.find((it) => it === answer.errcode) ?? "M_FORBIDDEN";
  return new MatrixError(errcode, typeof error === "string" ? error : "Refused", {
    ...(answer.retryAfterMs !== undefined && { fields: { retry_after_ms: answer.retryAfterMs } }),
  });
}
