import { redact } from "#src/events/redact.ts";
import { wireText } from "#src/events/wire-text.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { servedText } from "#src/rooms/served-text.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { visibleToServer } from "#src/timeline/visible-to-server.ts";

/**
 * Events as another server may have them: those that it may not see, redacted. It needs them all the
 * same, to know what the others stand on.
 *
 * @returns their texts.
 */
export async function pdusForServer(
  hs: Homeserver,
  room: Room,
  events: readonly StoredEvent[],
  server: ServerName,
): Promise<string[]> {
  const visible = await visibleToServer(hs, room, events, server);
  return events.map((it) =>
    visible.has(it) ? servedText(it, room.rules) : redactedText(it, room),
  );
}

function redactedText({ wire }: StoredEvent, { rules }: Room): string {
  return wireText(redact(wire, rules), rules);
}
