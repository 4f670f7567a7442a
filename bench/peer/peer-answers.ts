import type { WireEvent } from "#src/events/pdu.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import type { PeerRoom } from "./peer-room.ts";

/** A request of the server that is measured, its path decoded and in its parts after the version. */
export type PeerRequest = {
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
  readonly body: string;
};

/** What a server answers that has the whole of a room: the text of the answer; undefined if it knows no such thing. */
export function answerOfRoom(room: PeerRoom, request: PeerRequest): string | undefined {
  const { parts, query } = request;
  const [operation = "", first, second] = parts;
  switch (operation) {
    case "make_join":
      return JSON.stringify({
        room_version: room.rules.version,
        event: room.proposal(second as UserId),
      });
    case "send_join":
      return joined(room, request);
    case "event":
      return eventsAnswer(room, [first as EventId]);
    case "state":
    case "state_ids":
      return stateAnswer(room, operation, query);
    case "event_auth":
      return `{"auth_chain":${texts(room, room.authChainOf([second as EventId]))}}`;
    case "get_missing_events":
      return missingEvents(room, request.body);
    case "backfill":
      return eventsAnswer(room, []);
    default:
      return undefined;
  }
}

function eventsAnswer(room: PeerRoom, ids: readonly EventId[]): string {
  return `{"origin":"bench","origin_server_ts":${Date.now()},"pdus":${texts(room, ids)}}`;
}

function joined(room: PeerRoom, { parts: [, , id = ""], query, body }: PeerRequest): string {
  const omits = query.get("omit_members") === "true";
  const state = room.stateBefore(id as EventId).filter((one) => {
    return !omits || room.events.get(one)?.event.type !== "m.room.member";
  });
  const { event } = room.take(parseWireJson(body) as WireEvent);
  const servers = new Set([...room.state()].flatMap(([, one]) => serverOf(room, one)));
  return (
    `{"origin":"bench","members_omitted":${omits},"event":${body},` +
    `"servers_in_room":${JSON.stringify([...servers, ...serverOf(room, event.event_id)])},` +
    `"state":${texts(room, state)},"auth_chain":${texts(room, room.authChainOf([...state, id as EventId]))}}`
  );
}

function serverOf(room: PeerRoom, id: EventId): string[] {
  const event = room.events.get(id)?.event;
  return event?.type === "m.room.member" ? [event.sender.replace(/^[^:]*:/, "")] : [];
}

function stateAnswer(room: PeerRoom, kind: "state" | "state_ids", query: URLSearchParams): string {
  const ids = room.stateBefore((query.get("event_id") ?? "") as EventId);
  if (kind === "state_ids") {
    return JSON.stringify({ pdu_ids: ids, auth_chain_ids: room.authChainOf(ids) });
  }
  return `{"pdus":${texts(room, ids)},"auth_chain":${texts(room, room.authChainOf(ids))}}`;
}

/** What leads from some events to others, by the room's own order. */
function missingEvents(room: PeerRoom, body: string): string {
  const asked: unknown = JSON.parse(body);
  const idsAt = (name: string): EventId[] => {
    const value = (asked as Record<string, unknown>)[name];
    return Array.isArray(value) ? (value as EventId[]) : [];
  };
  const until = new Set(idsAt("earliest_events"));
  const found: EventId[] = [];
  const left = idsAt("latest_events").flatMap((id) => room.events.get(id)?.event.prev_events ?? []);
  for (let id = left.shift(); id !== undefined && found.length < 10; id = left.shift()) {
    const held = room.events.get(id);
    if (held === undefined || until.has(id) || found.includes(id)) continue;
    found.unshift(id);
    left.push(...held.event.prev_events);
  }
  return `{"events":${texts(room, found)}}`;
}

function texts(room: PeerRoom, ids: readonly EventId[]): string {
  return `[${ids.map((id) => room.events.get(id)?.json ?? "null").join(",")}]`;
}
