import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import type { Noted } from "#src/push/notable-events.ts";
import { displayNameIn } from "#src/push/room-context.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { strippedStates } from "#src/rooms/stripped-states.ts";
import type { Told } from "./notification.ts";

type Owner = { readonly userKey: number; readonly userId: UserId };
type Names = Pick<Told, "senderName" | "roomName" | "roomAlias">;

/** An event that somebody is told of, with what its sender and its room are called. */
export async function toldWithNames(hs: Homeserver, owner: Owner, it: Noted): Promise<Told> {
  const { type, stateKey, content } = it.event;
  const isInvited =
    type === "m.room.member" && stateKey === owner.userId && content["membership"] === "invite";
  const names = isInvited ? namesForInvited(hs, owner, it.event) : namesIn(hs, it.event);
  return { ...it, ...(await names) };
}

async function namesIn(hs: Homeserver, { roomKey, sender }: StoredEvent): Promise<Names> {
  const [senderName, name, alias] = await Promise.all([
    displayNameIn(hs, roomKey, sender),
    stateEvent(hs, roomKey, "m.room.name", ""),
    stateEvent(hs, roomKey, "m.room.canonical_alias", ""),
  ]);
  return {
    senderName,
    roomName: name?.redactedBy === undefined ? textOf(name?.content["name"]) : undefined,
    roomAlias: alias?.redactedBy === undefined ? textOf(alias?.content["alias"]) : undefined,
  };
}

const Stripped = z.looseObject({ type: z.string(), state_key: z.string(), content: JsonObject });

/**
 * What somebody who is invited has been told of the room: there may be no more of it here.
 *
 * @spec client-server-api#stripped-state
 */
async function namesForInvited(
  hs: Homeserver,
  { userKey }: Owner,
  { roomKey, eventKey, sender }: StoredEvent,
): Promise<Names> {
  const rooms = [{ roomKey, standing: { eventKey } }];
  const texts = (await strippedStates(hs, userKey, rooms)).get(roomKey) ?? [];
  const told = texts.flatMap((it) => Stripped.safeParse(JSON.parse(it)).data ?? []);
  const textIn = (type: string, stateKey: string, key: string) =>
    textOf(told.find((it) => it.type === type && it.state_key === stateKey)?.content[key]);
  return {
    senderName: textIn("m.room.member", sender, "displayname"),
    roomName: textIn("m.room.name", "", "name"),
    roomAlias: textIn("m.room.canonical_alias", "", "alias"),
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
