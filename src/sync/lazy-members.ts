import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { lru } from "#src/kit/lru.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";

/** The most member events in memory that devices are known to have. */
const MOST = 500_000;

/** A member event that a device was given, and the position of the answer that it was in. */
type Given = { readonly eventKey: number; readonly upTo: Position };

/**
 * Which member event of whom a device was given, so that it is not given it again with each message.
 * It is a saving and no more: a device gets again what is not in memory.
 */
const givenOf = held(() => lru<string, Given>(MOST));

/** The answer that members are wanted for. */
export type AnswerFor = {
  /** Whether the device begins again, and has nothing. */
  readonly anew: boolean;
  readonly since: Position | undefined;
  readonly upTo: Position;
};

/**
 * Of member events that a device needs to show a timeline, those that it has not got yet. Only a device that
 * goes on from an answer, or from a later one, is known to have got it: another may have been lost on the way.
 *
 * @param holder the device's key, or what names one of its connections.
 * @spec client-server-api#lazy-loading-room-members
 */
export function membersNotYetGiven(
  hs: Homeserver,
  holder: number | string,
  members: readonly StoredEvent[],
  { anew, since, upTo }: AnswerFor,
): StoredEvent[] {
  const given = givenOf(hs);
  return members.filter(({ roomKey, stateKey, eventKey }) => {
    const key = `${holder} ${roomKey} ${stateKey ?? ""}`;
    const last = given.get(key);
    const isKnown = last?.eventKey === eventKey && since !== undefined && since >= last.upTo;
    if (!anew && isKnown) return false;
    given.set(key, { eventKey, upTo });
    return true;
  });
}
