import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { lru } from "#src/kit/lru.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";

/** The most member events in memory that devices are known to have, and the most devices and connections. */
const MOST_MEMBERS = 500_000;
const MOST_CLIENTS = 100_000;

/** An answer to a device, or on one of its connections. */
type Given = {
  /** Where the client went on from, and where it is if it gets this. */
  readonly at: Position | undefined;
  readonly upTo: Position;
  /** The same of answers of which each goes on from the one before, or is given in its stead. */
  readonly chain: object;
  /** The client has gone on from it. An answer that it has not gone on from may be lost. */
  isReceived: boolean;
};

const lastOf = held(() => lru<number | string, Given>(MOST_CLIENTS));

/**
 * Which member event of whom a device was given, and with which answer, so that it is not given it again with each
 * message. It is a saving and no more: a device gets again what is not in memory, or what another process gave it.
 */
const membersOf = held(() =>
  lru<string, { readonly eventKey: number; readonly by: Given }>(MOST_MEMBERS),
);

/**
 * Begins an answer, before it is looked which members it is to give.
 *
 * @param client the device's key, or what names one of its connections.
 * @param at where the client goes on from, by its token; undefined of one that begins.
 */
export function beginAnswer(
  hs: Homeserver,
  client: number | string,
  { at, upTo }: { readonly at: Position | undefined; readonly upTo: Position },
): void {
  const last = lastOf(hs).get(client);
  const isReceived = last !== undefined && at === last.upTo;
  if (isReceived) last.isReceived = true;
  // From anywhere else it goes on with what others have told it, or with what it knew long ago.
  const goesOn = isReceived || (last !== undefined && at === last.at);
  const chain = goesOn ? last.chain : {};
  lastOf(hs).set(client, { at, upTo, chain, isReceived: false });
}

/**
 * Of member events that a device needs to show a timeline, those that it has not got yet. Only a device that
 * goes on from an answer is known to have got it: another may have been lost on the way.
 *
 * @param client whose answer has begun.
 * @param scope apart from what of the same client nothing counts as given.
 * @param anew whether the client begins again with the room, and has nothing.
 * @spec client-server-api#lazy-loading-room-members
 */
export function membersNotYetGiven(
  hs: Homeserver,
  client: number | string,
  members: readonly StoredEvent[],
  { anew, scope = "" }: { readonly anew: boolean; readonly scope?: number | string },
): readonly StoredEvent[] {
  const answer = lastOf(hs).get(client);
  if (!answer) return members;
  const given = membersOf(hs);
  return members.filter(({ roomKey, stateKey, eventKey }) => {
    const key = `${client} ${scope} ${roomKey} ${stateKey ?? ""}`;
    const last = given.get(key);
    const isSame = last?.eventKey === eventKey && last.by.chain === answer.chain;
    if (!anew && isSame && last.by.isReceived) return false;
    given.set(key, { eventKey, by: answer });
    return true;
  });
}
