import type { ClientEvent } from "../../answers.ts";
import type { TestUser } from "../client.ts";

/** Someone who is in the room from its beginning to its end, and so sees all of it. */
export type Witness = Pick<TestUser, "call">;

/** What happened in a room, and what a user was to it just before and just after. */
type Step = {
  readonly eventId: string;
  readonly place: number;
  readonly isOwn: boolean;
  readonly memberships: readonly [before: string, after: string];
  readonly visibilities: readonly [before: string, after: string];
};

/** All events of a room, the oldest first. */
export async function eventsOf(witness: Witness, roomId: string): Promise<ClientEvent[]> {
  const events: ClientEvent[] = [];
  let from: string | undefined;
  do {
    const page = from === undefined ? "" : `&from=${from}`;
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/messages?dir=f&limit=200${page}`;
    const { body } = await witness.call("GET", path);
    events.push(...body.chunk);
    from = body.end;
  } while (from !== undefined);
  return events;
}

/** A state as event IDs by type and state key. */
function stateOf(events: readonly ClientEvent[]): Map<string, string> {
  return new Map(
    events.flatMap((it): [string, string][] =>
      it.state_key === undefined ? [] : [[`${it.type} ${it.state_key}`, it.event_id]],
    ),
  );
}

/**
 * What a user may see of a room, worked out from all that happened in it, by the rules as they are written.
 *
 * @spec client-server-api#room-history-visibility
 */
export class SeenHistory {
  readonly #events: readonly ClientEvent[];
  readonly #steps: readonly Step[];
  /** What the user is in the room in the end. */
  readonly membership: string;

  constructor(events: readonly ClientEvent[], userId: string) {
    this.#events = events;
    let membership = "none";
    let visibility = "shared";
    this.#steps = events.map((event, place) => {
      const [before, seenBefore] = [membership, visibility];
      const isOwn = event.type === "m.room.member" && event.state_key === userId;
      if (isOwn) membership = event.content.membership;
      if (event.type === "m.room.history_visibility") {
        visibility = String(event.content["history_visibility"]);
      }
      return {
        eventId: event.event_id,
        place,
        isOwn,
        memberships: [before, membership],
        visibilities: [seenBefore, visibility],
      };
    });
    this.membership = membership;
  }

  /** The place of the event that ended the user's last stay; infinite if it goes on, undefined if there was none. */
  get #endOfStay(): number | undefined {
    if (this.membership === "join") return Infinity;
    const ends = this.#steps.filter(
      ({ isOwn, memberships: [before, after] }) => isOwn && before === "join" && after !== "join",
    );
    return ends.at(-1)?.place;
  }

  /** Up to which place the room can be read: undefined if not at all. */
  get #end(): number | undefined {
    const isOpen = this.#steps.at(-1)?.visibilities[1] === "world_readable";
    return isOpen ? Infinity : this.#endOfStay;
  }

  /** The IDs of the events that the user can read, the oldest first; undefined if the room is closed to them. */
  get readable(): readonly string[] | undefined {
    const end = this.#end;
    if (end === undefined) return undefined;
    return this.#steps
      .filter((it) => it.place <= end && this.#isVisible(it))
      .map((it) => it.eventId);
  }

  /** The state that the user can read. */
  get state(): Map<string, string> {
    const end = this.#end ?? -1;
    return stateOf(this.#events.filter((_, place) => place <= end));
  }

  #isVisible({ isOwn, place, memberships, visibilities }: Step): boolean {
    const [before] = memberships;
    // Of one's own membership, and of the visibility itself, the more open side of the change counts.
    const was = isOwn ? memberships : [before];
    const isChange = visibilities[0] !== visibilities[1];
    const shown = isChange ? visibilities : [visibilities[0]];
    if (isOwn || shown.includes("world_readable") || was.includes("join")) return true;
    if (place > (this.#endOfStay ?? -1)) return false;
    return shown.includes("shared") || (shown.includes("invited") && was.includes("invite"));
  }
}
