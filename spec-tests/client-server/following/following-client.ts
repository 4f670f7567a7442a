import type { ClientEvent, JoinedRoom } from "../../answers.ts";
import type { Dice } from "../../oracle/dice.ts";
import type { Answer, TestUser } from "../client.ts";

/** How a client asks for what is new. */
export type Manner = {
  readonly limit: number;
  /** Whether it asks for the state after the timeline, and by which name. */
  readonly after?: "use_state_after" | "org.matrix.msc4222.use_state_after";
  readonly lazy?: boolean;
  readonly redundant?: boolean;
  /** The only types of events that it wants in the timeline. */
  readonly types?: readonly string[];
};

/** A client that knows of a room what it has been told. */
export type Follower = {
  readonly user: TestUser;
  readonly manner: Manner;
  /** Event IDs by type and state key. */
  readonly state: ReadonlyMap<string, string>;
  /** The IDs of the events that it has seen. */
  readonly seen: ReadonlySet<string>;
  /** What was wrong with the answers that it got. */
  readonly faults: readonly string[];
  sync(): Promise<void>;
};

/** Where state is told, by how it is asked for. */
const SECTIONS = {
  state: "state",
  use_state_after: "state_after",
  "org.matrix.msc4222.use_state_after": "org.matrix.msc4222.state_after",
} as const;

/**
 * A client that knows of a room what `/sync` has told it, and reads what a gap has left out. Some of its answers are lost
 * on the way.
 */
export class FollowingClient implements Follower {
  readonly user: TestUser;
  readonly manner: Manner;
  readonly state = new Map<string, string>();
  readonly seen = new Set<string>();
  readonly faults: string[] = [];
  readonly #roomId: string;
  readonly #dice: Dice;
  #since: string | undefined;
  #isJoined = false;

  constructor(user: TestUser, roomId: string, manner: Manner, dice: Dice) {
    this.user = user;
    this.#roomId = roomId;
    this.manner = manner;
    this.#dice = dice;
  }

  async sync(): Promise<void> {
    if (this.#dice.below(4) === 0) await this.user.sync(this.#query());
    const answer = await this.user.sync(this.#query());
    this.#since = answer.next_batch;
    const { join, leave, invite } = answer.rooms ?? {};
    const joined = join?.[this.#roomId];
    const left = leave?.[this.#roomId];
    const wasJoined = this.#isJoined;
    if (joined) this.#isJoined = true;
    if (left || invite?.[this.#roomId]) this.#isJoined = false;
    const told = joined ?? left;
    if (told?.timeline) await this.#take(told, wasJoined);
  }

  #query(): Record<string, string> {
    const { limit, types, lazy, redundant, after } = this.manner;
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
    if (this.#isJoined && !wasJoined && this.manner.lazy) this.#forgetMembers();
    this.#takeState(told);
    await this.#takeTimeline(told.timeline, wasJoined);
  }

  #takeState(told: JoinedRoom): void {
    const { after, lazy } = this.manner;
    const section = SECTIONS[after ?? "state"];
    const sections = Object.values(SECTIONS)
      .filter((it) => it in told)
      .join();
    if (sections !== section) this.faults.push(`${sections} instead of ${section}`);
    const { events } = told.timeline;
    for (const it of [...(told[section]?.events ?? []), ...(after ? [] : events)]) {
      if (it.state_key !== undefined) this.state.set(`${it.type} ${it.state_key}`, it.event_id);
    }
    if (lazy && this.#isJoined) this.#checkSenders(events);
  }

  async #takeTimeline(
    { events, limited, prev_batch }: JoinedRoom["timeline"],
    wasJoined: boolean,
  ): Promise<void> {
    const ids = events.map((it) => it.event_id);
    if (ids.length > this.manner.limit) this.faults.push("more events than were asked for");
    const isAgain = !limited && ids.some((it) => this.seen.has(it));
    if (isAgain) this.faults.push("an event again");
    const whole = [...(limited ? await this.#readGap(prev_batch, wasJoined) : []), ...ids];
    if (new Set(whole).size < whole.length) this.faults.push("an event twice");
    for (const it of whole) this.seen.add(it);
  }

  #forgetMembers(): void {
    for (const key of this.state.keys()) {
      if (key.startsWith("m.room.member ")) this.state.delete(key);
    }
  }

  #checkSenders(events: readonly ClientEvent[]): void {
    for (const { sender } of events) {
      if (!this.state.has(`m.room.member ${sender}`)) this.faults.push(`who is ${sender}?`);
    }
  }

  /** Reads back to what is known, or all that can be read if the user was away. @returns the IDs of what was not known */
  async #readGap(token: string, wasJoined: boolean): Promise<string[]> {
    const { types } = this.manner;
    const filter = types ? `&filter=${encodeURIComponent(JSON.stringify({ types }))}` : "";
    const gap: string[] = [];
    for (let from: string | undefined = token; from !== undefined;) {
      const path = `/v3/rooms/${encodeURIComponent(this.#roomId)}/messages`;
      const page: Answer = await this.user.call(
        "GET",
        `${path}?dir=b&limit=3&from=${from}${filter}`,
      );
      if (page.status !== 200) this.faults.push(`a gap that is closed: ${page.text}`);
      for (const { event_id } of page.body.chunk ?? []) {
        if (this.seen.has(event_id) && wasJoined) return gap;
        if (!this.seen.has(event_id)) gap.push(event_id);
      }
      from = page.body.end;
    }
    return gap;
  }
}
