import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Noted } from "#src/push/notable-events.ts";
import { displayNameIn } from "#src/push/room-context.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import type { Told } from "./notification.ts";

/** An event that somebody is told of, with what its sender and its room are called. */
export async function toldWithNames(hs: Homeserver, it: Noted): Promise<Told> {
  const { roomKey, sender } = it.event;
  const [senderName, name, alias] = await Promise.all([
    displayNameIn(hs, roomKey, sender),
    stateEvent(hs, roomKey, "m.room.name", ""),
    stateEvent(hs, roomKey, "m.room.canonical_alias", ""),
  ]);
  return {
    ...it,
    senderName,
    roomName: name?.redactedBy === undefined ? textOf(name?.content["name"]) : undefined,
    roomAlias: alias?.redactedBy === undefined ? textOf(alias?.content["alias"]) : undefined,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
