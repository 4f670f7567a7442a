import { isUserId } from "#src/events/event-identifiers.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import { type StrippedStateEvent, strippedStateEvent } from "#src/events/stripped-state.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { checkPdus } from "./check-pdus.ts";

/** More events than any server tells of a room. */
const MOST_EVENTS = 100;

/**
 * Reads what another server tells of a room that this server is not in: with an invitation, or in answer to a
 * knock. In room versions whose IDs can be proved, whole events must be what they say they are; in older ones, servers
 * that know no better tell what they like.
 *
 * @throws MatrixError M_INVALID_PARAM if it is not what is told of such a room.
 * @spec server-server-api#put_matrixfederationv2inviteroomideventid
 */
export async function readToldState(
  hs: Homeserver,
  told: readonly unknown[],
  { roomId, rules }: { roomId: RoomId; rules: RoomVersionRules },
): Promise<StrippedStateEvent[]> {
  const its = told.slice(0, MOST_EVENTS);
  if (!rules.roomIdIsCreateEventId) return its.flatMap((it) => strippedIn(it) ?? []);
  const signed = its.filter(isSigned);
  const checked = await checkPdus(signed, { rules, keys: hs.remotes.verifyKeys, now: hs.now() });
  const events = new Map<unknown, StrippedStateEvent>();
  for (const [index, it] of checked.entries()) {
    if (!it.ok) throw invalid(it.reason);
    const { event } = it.received;
    if (event.room_id !== roomId) throw invalid("an event of another room");
    if (event.state_key === undefined) throw invalid("an event that is no state");
    events.set(signed[index], strippedStateEvent(event));
  }
  // Synapse told what is left of events until July 2026, and Dendrite does: nobody on them could invite to such rooms.
  const state = its.map((it) => {
    const event = events.get(it) ?? strippedIn(it);
    if (!event) throw invalid("what is no event, nor what is left of one");
    return event;
  });
  if (!state.some((it) => it.type === "m.room.create")) throw invalid("no create event");
  return state;
}

function isSigned(value: unknown): boolean {
  return JsonObject.safeParse(value).data?.["signatures"] !== undefined;
}

/** A stripped state event, if it is one; whatever more there is of it is left out. */
function strippedIn(value: unknown): StrippedStateEvent | undefined {
  const object = JsonObject.safeParse(value).data;
  if (!object) return undefined;
  const { type, state_key, sender } = object;
  const content = JsonObject.safeParse(object["content"]).data;
  if (typeof type !== "string" || typeof state_key !== "string" || !content) return undefined;
  return isUserId(sender) ? { type, state_key, sender, content } : undefined;
}

function invalid(reason: string): MatrixError {
  return new MatrixError("M_INVALID_PARAM", `What is told of the room is not its state: ${reason}`);
}
