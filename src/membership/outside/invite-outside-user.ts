import type { EventDraft } from "#src/events/build-event.ts";
import { signingKeyIdsOf, verifyEventSignature } from "#src/events/event-signatures.ts";
import { parsePdu } from "#src/events/parse-pdu.ts";
import type { Pdu, WireEvent } from "#src/events/pdu.ts";
import { STRIPPED_STATE_TYPES } from "#src/events/stripped-state.ts";
import { wireText } from "#src/events/wire-text.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RawPdu, RemoteAnswer } from "#src/homeserver/remotes.ts";
import { type EventId, type ServerName, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { draftOnHead } from "#src/rooms/draft-on-head.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { signedByPolicy } from "#src/rooms/policy/write-signed.ts";
import { receiveEvents } from "#src/rooms/received/receive-events.ts";
import type { NewEvent, RoomInMaking } from "#src/rooms/room-in-making.ts";
import type { StatePair } from "#src/rooms/state-slots.ts";
import { bodyOf, mayBeOld, unhelpful } from "./refusals.ts";

/** How long the invited user's server may take: somebody waits for it. */
const TIMEOUT_MS = 30_000;

/**
 * Invites a user of another server to a room of ours: that server signs the invitation before it becomes
 * part of the room, so a user who cannot be reached is not invited.
 *
 * @returns the invitation.
 * @throws MatrixError M_FORBIDDEN if the sender may not, or the other server does not want it; 502 if that
 *   does not answer as it should.
 * @spec server-server-api#inviting-to-a-room
 */
export async function inviteOutsideUser(
  hs: Homeserver,
  { room, sender, draft }: { room: Room; sender: UserId; draft: EventDraft },
): Promise<EventId> {
  const server = serverNameOf(draft.state_key as UserId);
  const told: StatePair[] = STRIPPED_STATE_TYPES.map((type) => [type, ""]);
  told.push(["m.room.member", sender]);
  const { event: drafted, making } = await draftOnHead(hs, room, { draft, sender, needs: told });
  const own = await signedByPolicy(hs, room, drafted);
  const answer = await ask(hs, server, { room, own, roomState: wiresOf(making, told) });
  const signed = bodyOf(server, answer).event;
  const signatures = await signaturesOf(hs, server, { room, own, signed });
  const wire = {
    ...own.wire,
    signatures: {
      ...own.event.signatures,
      [server]: { ...own.event.signatures[server], ...signatures },
    },
  };
  const event: Pdu = { ...own.event, signatures: wire.signatures };
  const { event_id } = event;
  const receipts = await receiveEvents(hs, room, [{ event, json: wireText(wire, room.rules) }], {
    as: "live",
    isRelayed: true,
  });
  const receipt = receipts.get(event_id);
  if (receipt?.outcome === "accepted") return event_id;
  throw new MatrixError("M_FORBIDDEN", "The room does not allow the invitation any more");
}

function wiresOf(making: RoomInMaking, pairs: readonly StatePair[]): WireEvent[] {
  return pairs
    .map(([type, key]) => making.stateEvent(type, key)?.wire)
    .filter((it) => it !== undefined);
}

async function ask(
  hs: Homeserver,
  server: ServerName,
  { room, own, roomState }: { room: Room; own: NewEvent; roomState: readonly WireEvent[] },
): Promise<RemoteAnswer<{ readonly event: RawPdu }>> {
  const { version, eventIdFormat } = room.rules;
  const question = { roomId: room.roomId, eventId: own.event.event_id, event: own.wire };
  const options = { timeoutMs: TIMEOUT_MS };
  const answer = await hs.remotes.sendInviteV2(
    server,
    { ...question, room_version: version, invite_room_state: roomState },
    options,
  );
  if (!mayBeOld(answer) || eventIdFormat !== "assigned") return answer;
  const event = { ...own.wire, unsigned: { invite_room_state: roomState } };
  return await hs.remotes.sendInviteV1(server, { ...question, event }, options);
}

/**
 * The signatures with which the invited user's server has answered: of all that it sent, they alone are used.
 *
 * @throws MatrixError (502) if it has signed something else, or not at all.
 */
async function signaturesOf(
  hs: Homeserver,
  server: ServerName,
  { room, own, signed }: { room: Room; own: NewEvent; signed: RawPdu },
): Promise<Readonly<Record<string, string>>> {
  const { rules } = room;
  const parsed = parsePdu(signed, rules);
  const { event_id, origin_server_ts } = own.event;
  if (!parsed.ok || parsed.event.event_id !== event_id) {
    throw unhelpful(server, "signed another invitation");
  }
  const keyIds = signingKeyIdsOf(parsed.event.signatures, server);
  const question = { server, keyIds, validAt: rules.enforceKeyValidity ? origin_server_ts : 0 };
  const keys = (await hs.remotes.verifyKeys([question])).get(server);
  for (const keyId of keyIds) {
    const key = keys?.get(keyId);
    const wire = { ...own.wire, signatures: parsed.wire["signatures"] ?? {} };
    if (key && (await verifyEventSignature(wire, rules, server, key))) {
      return { [keyId]: parsed.event.signatures[server]?.[keyId] ?? "" };
    }
  }
  throw unhelpful(server, "did not sign the invitation");
}
