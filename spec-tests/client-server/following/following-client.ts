import type { JoinedRoom } from "../../answers.ts";
import type { Dice } from "../../oracle/dice.ts";
import type { TestUser } from "../client.ts";
import { KnownRoom, type Manner } from "./known-room.ts";

/** A client that knows of a room what it has been told. */
export type Follower = {
  readonly known: KnownRoom;
  sync(): Promise<void>;
};

/** Where state is told, by how it is asked for. */
const SECTIONS = {
  state: "state",
  use_state_after: "state_after",
  "org.matrix.msc4222.use_state_after": "org.matrix.msc4222.state_after",
} as const;

/** A token of a time that the server has not come to, or not any more: its database was put back to an earlier day. */
const GONE = "s900000000000000";

/**
 * A client that knows of a room what `/sync` has told it, and reads what a gap has left out. Some of its answers are lost
 * on the way, and at times its token is of a time that is gone.
 */
export class FollowingClient implements Follower {
  readonly known: KnownRoom;
  readonly #dice: Dice;
  #since: string | undefined;
  #isJoined = false;
  /** Whether it is told of everything anew. */
  #isAnew = false;

  constructor(user: TestUser, roomId: string, manner: Manner, dice: Dice) {
    this.known = new KnownRoom(user, roomId, manner);
    this.#dice = dice;
  }

  async sync(): Promise<void> {
    const { user, roomId } = this.known;
    if (this.#dice.below(4) === 0) await user.sync(this.#query());
    this.#loseTime();
    const answer = await user.sync(this.#query());
    this.#since = answer.next_batch;
    const { join, leave, invite } = answer.rooms ?? {};
    const joined = join?.[roomId];
    const left = leave?.[roomId];
    const wasJoined = this.#isJoined;
    if (joined) this.#isJoined = true;
    if (left || invite?.[roomId]) this.#isJoined = false;
    const told = joined ?? left;
    if (told?.timeline) await this.#take(told, wasJoined);
  }

  #loseTime(): void {
    this.#isAnew = this.#since !== undefined && this.#dice.below(6) === 0;
    if (this.#isAnew) this.#since = GONE;
  }

  #query(): Record<string, string> {
    const { limit, types, lazy, redundant, after } = this.known.manner;
    const filter = {
      room: {
        timeline: { limit, ...(types && { types }) },
        state: { lazy_load_members: lazy, include_redundant_members: redundant },
      },
    };
    return {
      filter: JSON.stringify(filter),
      ...(this.#since !== undefined && { since: this.#since }),
      ...(after && { [after]: "true" }),
    };
  }

  async #take(told: JoinedRoom, wasJoined: boolean): Promise<void> {
    // Whoever comes back has forgotten the members that they loaded as they needed them.
    if (this.#isJoined && !wasJoined && this.known.manner.lazy) this.known.forgetMembers();
    this.#takeState(told);
    await this.#takeTimeline(told.timeline, wasJoined);
  }

  #takeState(told: JoinedRoom): void {
    const { after, lazy } = this.known.manner;
    const section = SECTIONS[after ?? "state"];
    const sections = Object.values(SECTIONS)
      .filter((it) => it in told)
      .join();
    if (sections !== section) this.known.faults.push(`${sections} instead of ${section}`);
    const { events } = told.timeline;
    for (const { type, state_key, event_id } of [
      ...(told[section]?.events ?? []),
      ...(after ? [] : events),
    ]) {
      if (state_key !== undefined) this.known.state.set(`${type} ${state_key}`, event_id);
    }
    if (lazy && this.#isJoined) this.known.checkSenders(events);
  }

  async #takeTimeline(
    { events, limited, prev_batch }: JoinedRoom["timeline"],
    wasJoined: boolean,
  ): Promise<void> {
    const { manner, seen, faults } = this.known;
    const ids = events.map((it) => it.event_id);
    if (ids.length > manner.limit) faults.push("more events than were asked for");
    const isAgain = !limited && !this.#isAnew && ids.some((it) => seen.has(it));
    if (isAgain) faults.push("an event again");
    const whole = [...(limited ? await this.known.readGap(prev_batch, wasJoined) : []), ...ids];
    if (new Set(whole).size < whole.length) faults.push("an event twice");
    for (const it of whole) seen.add(it);
  }
}
