/** What a room of other servers should be, by a model that looks at everything. For tests alone. */

import { checkAuthRules } from "#src/events/auth-rules/check.ts";
import type { Pdu } from "#src/events/pdu.ts";
import { readPowerLevels } from "#src/events/power-levels.ts";
import { type EventId, serverNameOf } from "#src/kit/identifiers.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import type { ModelState, RemoteRoom } from "./testing.ts";

/** What a room should be after events have come in an order, worked out from the beginning. */
export function replay(room: RemoteRoom, order: readonly EventId[]) {
  const softFailed = new Set<EventId>();
  const here = new Set<EventId>();
  const passed = (id: EventId) => softFailed.has(id) || room.graph.rejected.has(id);
  let extremities: EventId[] = [];
  let current: ModelState = new Map();
  for (const id of order) {
    const event = room.graph.events.get(id);
    if (!event) continue;
    here.add(id);
    if (room.graph.rejected.has(id)) continue;
    if (!checkAuthRules(event, room.lookupIn(current), room.rules).allowed) {
      softFailed.add(id);
      continue;
    }
    const followed = new Set<EventId>();
    const waiting = [...event.prev_events];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (followed.has(next)) continue;
      followed.add(next);
      if (passed(next)) waiting.push(...(room.graph.events.get(next)?.prev_events ?? []));
    }
    extremities = [...extremities.filter((it) => !followed.has(it)), id];
    current = room.stateAfter(extremities);
  }
  return { current, extremities, softFailed };
}

/**
 * Which of a room's stored events are redacted though nothing does that, or by another than what does, or are not
 * though something does: a redaction that is part of the room, and whose sender might redact what that other one sent.
 *
 * @spec rooms/v3#handling-redactions
 */
export function wronglyRedacted(room: RemoteRoom, stored: readonly StoredEvent[]): StoredEvent[] {
  const idsByKey = new Map(stored.map((it) => [it.eventKey, it.eventId]));
  const redactions = stored
    .filter((it) => it.type === "m.room.redaction" && isPart(it))
    .flatMap((it) => room.graph.events.get(it.eventId) ?? []);
  return stored.filter(({ eventId, redactedBy }) => {
    const by = redactions
      .filter((it) => it.redacts === eventId && mayRedact(room, it))
      .map((it) => it.event_id);
    if (redactedBy === undefined) return by.length > 0;
    return !by.includes(idsByKey.get(redactedBy) ?? "$");
  });
}

/** Whether an event is part of its room, told to clients or not. */
export function isPart({ status }: Pick<StoredEvent, "status">): boolean {
  return status === EventStatus.accepted || status === EventStatus.untold;
}

/**
 * Which of a room's stored events are redactions that clients are told of though they redact nothing. Of what was
 * rejected nobody hears either way.
 */
export function wronglyTold(room: RemoteRoom, stored: readonly StoredEvent[]): StoredEvent[] {
  return stored.filter((it) => {
    if (it.type !== "m.room.redaction" || it.status !== EventStatus.accepted) return false;
    const redaction = room.graph.events.get(it.eventId);
    const target = stored.find((own) => own.eventId === redaction?.redacts);
    return !redaction || !target || !mayRedact(room, redaction);
  });
}

function mayRedact(room: RemoteRoom, { event_id, sender, redacts = "$" }: Pdu): boolean {
  const before = room.lookupIn(room.events.get(event_id)?.before ?? new Map());
  const create = before("m.room.create", "");
  if (!create) throw new Error("a room was redacted before it began");
  const levels = readPowerLevels(before("m.room.power_levels", ""), create, room.rules);
  const target = room.graph.events.get(redacts)?.sender ?? "@:";
  return (
    levels.powerOf(sender) >= levels.named("redact") ||
    serverNameOf(sender) === serverNameOf(target)
  );
}
