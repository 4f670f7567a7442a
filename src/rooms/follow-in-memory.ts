import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { tailOf } from "#src/streams/tail.ts";
import { EVENTS, MemberMoved } from "./event-changes.ts";
import {
  eventInMemory,
  forgetEvents,
  forgetEventsOf,
  forgetUnredacted,
  heedSenderRedaction,
  rememberStored,
} from "./find-event.ts";
import type { SenderRedaction } from "./mass-redaction/queries-sender-redactions.ts";
import { SENDER_REDACTIONS } from "./mass-redaction/sender-redactions-stream.ts";
import { redactedIn } from "./redacted-in.ts";
import { forgetHead, forgetHeads } from "./room-head.ts";
import { StoredEvent } from "./stored-event.ts";

/** Keeps the events and heads in memory true to what other processes do, and takes in what they store. */
export function followInMemory(hs: Homeserver): void {
  tailOf(hs).listen({
    changed(changes) {
      const moved = new Set<number>();
      const redacted = new Set<string>();
      for (const { stream, roomKey, detail } of changes) {
        // As happens when a room's members are all known.
        if (detail instanceof MemberMoved && roomKey !== undefined) moved.add(roomKey);
        if (stream === SENDER_REDACTIONS) {
          heedSenderRedaction(hs, detail as SenderRedaction, eventsInTail(hs));
        }
        if (stream !== EVENTS || !(detail instanceof StoredEvent)) continue;
        rememberStored(hs, detail);
        // Whether a redaction took effect is in the row of its target. This process's own have been heeded; of
        // others' the event may have been read before it was heard of, so that says nothing.
        for (const redacts of redactedIn(detail)) {
          forgetUnredacted(hs, redacts);
          redacted.add(redacts);
        }
      }
      if (redacted.size > 0) markInTail(hs, redacted);
      if (moved.size > 0) forgetEventsOf(hs, moved);
    },
    missed: () => forgetEvents(hs),
  });
  tailOf(hs).listen({
    changed(changes, _upTo, areOwn) {
      if (areOwn) return;
      for (const { stream, roomKey } of changes) {
        if (stream === EVENTS && roomKey !== undefined) forgetHead(hs, roomKey);
      }
    },
    missed: () => forgetHeads(hs),
  });
}

/** The tail may know an event by another object than the memory of events, and for longer. */
function markInTail(hs: Homeserver, redacted: ReadonlySet<string>): void {
  for (const event of eventsInTail(hs)) {
    if (event.redactedBy !== undefined || !redacted.has(event.eventId)) continue;
    event.redactedBy = eventInMemory(hs, event.eventKey)?.redactedBy;
    event.mayBeRedacted = event.redactedBy === undefined;
  }
}

function* eventsInTail(hs: Homeserver): Generator<StoredEvent> {
  for (const { detail } of tailOf(hs).remembered()) if (detail instanceof StoredEvent) yield detail;
}
