import type { EventId } from "#src/kit/identifiers.ts";
import { memberTexts } from "#src/kit/member-texts.ts";
import { roomIdOfCreate } from "./event-hash.ts";
import { STICKY } from "./sticky.ts";

/**
 * The text of an event's client form (see `clientEvent`), cut from the event's own text: what is passed on as
 * it is need not be parsed. Not of a redaction, whose form is another than its own.
 *
 * @param text the event in Canonical JSON, as it is stored.
 */
export function clientEventText(
  eventId: EventId,
  text: string,
  { roomId }: { readonly roomId: boolean },
): string {
  const members = memberTexts(text);
  const stateKey = members.get("state_key");
  const sticky = members.get(STICKY);
  const own = [
    `"content":${members.get("content")}`,
    `"event_id":${JSON.stringify(eventId)}`,
    ...(sticky === undefined ? [] : [`"${STICKY}":${sticky}`]),
    `"origin_server_ts":${members.get("origin_server_ts")}`,
    ...(roomId
      ? [`"room_id":${members.get("room_id") ?? JSON.stringify(roomIdOfCreate(eventId))}`]
      : []),
    `"sender":${members.get("sender")}`,
    ...(stateKey === undefined ? [] : [`"state_key":${stateKey}`]),
    `"type":${members.get("type")}`,
  ];
  return `{${own.join(",")}}`;
}
