import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { tailOf } from "#src/streams/tail.ts";
import { EVENTS } from "./event-changes.ts";
import { forgetEvent, forgetEvents, rememberStored } from "./find-event.ts";
import { StoredEvent } from "./stored-event.ts";

/** Keeps the events in memory true to what other processes do, and takes in what they store. */
export function followInMemory(hs: Homeserver): void {
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, detail } of changes) {
        if (stream !== EVENTS || !(detail instanceof StoredEvent)) continue;
        if (!rememberStored(hs, detail)) continue;
        // Of another process: whether its redactions took effect is in the rows of their targets.
        const redacts = detail.type === "m.room.redaction" && redactsOf(detail);
        if (typeof redacts === "string") forgetEvent(hs, redacts);
      }
    },
    missed: () => forgetEvents(hs),
  });
}

/** What a redaction redacts, wherever its room version puts it. */
function redactsOf({ wire, content }: StoredEvent): unknown {
  return wire["redacts"] ?? content["redacts"];
}
