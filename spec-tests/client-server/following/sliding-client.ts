import type { ClientEvent, SlidingAnswer, SlidingRoom } from "../../answers.ts";
import type { Dice } from "../../oracle/dice.ts";
import type { Answer, TestUser } from "../client.ts";
import type { Follower, Manner } from "./following-client.ts";

/** How a client of sliding sync asks for what is new. */
export type SlidingManner = Manner & {
  readonly form: "deployed" | "accepted";
  /** By what it asks for the room. */
  readonly by: "list" | "subscription";
  /** Whether it changes now and then what it asks for. */
  readonly isFickle?: boolean;
};

const PATHS = {
  deployed: "/unstable/org.matrix.simplified_msc3575/sync",
  accepted: "/v4/sync",
} as const;

/**
 * A client that knows of a room what sliding sync has told it. Some of its answers are lost on the way, some of its
 * requests are made twice, and sometimes it begins again.
 */
export class SlidingClient implements Follower {
  readonly user: TestUser;
  readonly manner: SlidingManner;
  readonly state = new Map<string, string>();
  readonly seen = new Set<string>();
  readonly faults: string[] = [];
  readonly #roomId: string;
  readonly #dice: Dice;
  readonly #connection: string;
  #pos: string | undefined;
  #isJoined = false;

  constructor(user: TestUser, roomId: string, manner: SlidingManner, dice: Dice) {
    this.user = user;
    this.#roomId = roomId;
    this.manner = manner;
    this.#dice = dice;
    this.#connection = `c${dice.below(1_000_000_000)}`;
  }

  async sync(): Promise<void> {
    if (this.#dice.below(12) === 0) this.#pos = undefined;
    // Its answer is lost, or it is given up for another one.
    if (this.#dice.below(4) === 0) await this.#ask(this.#dice.below(2) === 0);
    if (this.manner.isFickle && this.#dice.below(3) === 0) await this.#take(await this.#ask(false));
    await this.#take(await this.#ask(true));
  }

  async #ask(isWanted: boolean): Promise<SlidingAnswer> {
    const { form } = this.manner;
    const isDeployed = form === "deployed";
    const query = isDeployed && this.#pos !== undefined ? `?pos=${this.#pos}` : "";
    const { status, text, body } = await this.user.call<SlidingAnswer>(
      "POST",
      `${PATHS[form]}${query}`,
      {
        conn_id: this.#connection,
        ...(!isDeployed && this.#pos !== undefined && { pos: this.#pos }),
        ...(isWanted && this.#wishes()),
      },
    );
    if (status !== 200) throw new Error(`${status} ${text}`);
    return body;
  }

  #wishes(): object {
    const { form, by, limit, lazy } = this.manner;
    const isDeployed = form === "deployed";
    const tuples = [["*", "*"], ...(lazy ? [["m.room.member", "$LAZY"]] : [])];
    const required_state = isDeployed ? tuples : { include: [{}], lazy_members: lazy ?? false };
    const config = { timeline_limit: limit, required_state };
    if (by === "subscription") return { room_subscriptions: { [this.#roomId]: config } };
    return {
      lists: { all: { ...config, ...(isDeployed ? { ranges: [[0, 9]] } : { range: [0, 9] }) } },
    };
  }

  async #take(answer: SlidingAnswer): Promise<void> {
    this.#pos = answer.pos;
    const told = answer.rooms[this.#roomId];
    if (!told) return;
    const wasJoined = this.#isJoined && told.initial !== true;
    this.#isJoined = this.#isTheirs(told);
    if (!this.#isJoined && told.timeline === undefined) return;
    this.#takeState(told);
    if (this.manner.lazy && this.#isJoined) this.#checkSenders(told.timeline ?? []);
    await this.#takeTimeline(told, wasJoined);
  }

  /** Whether the user is in the room, by what is told of it. */
  #isTheirs({ invite_state, stripped_state, required_state = [] }: SlidingRoom): boolean {
    if (invite_state !== undefined || stripped_state !== undefined) return false;
    const { userId } = this.user;
    const own = required_state.find((it) => it.state_key === userId && it.content);
    return own === undefined ? true : own.content.membership === "join";
  }

  #takeState({ initial, limited, required_state = [] }: SlidingRoom): void {
    if (initial) this.state.clear();
    // Who has not been told of all changes does not know who is in the room.
    else if (limited && this.manner.lazy) this.#forgetMembers();
    for (const it of required_state) {
      const key = `${it.type} ${it.state_key}`;
      if (it.content === undefined) this.state.delete(key);
      else this.state.set(key, it.event_id);
    }
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

  async #takeTimeline(
    {
      timeline = [],
      limited,
      prev_batch,
      initial,
      expanded_timeline,
      unstable_expanded_timeline,
    }: SlidingRoom,
    wasJoined: boolean,
  ): Promise<void> {
    const ids = timeline.map((it) => it.event_id);
    if (ids.length > this.manner.limit) this.faults.push("more events than were asked for");
    const mayRepeat = limited || initial || expanded_timeline || unstable_expanded_timeline;
    if (!mayRepeat && ids.some((it) => this.seen.has(it))) this.faults.push("an event again");
    const gap = limited ? await this.#readGap(prev_batch, wasJoined) : [];
    for (const it of [...gap, ...ids]) this.seen.add(it);
  }

  async #readGap(token: string, wasJoined: boolean): Promise<string[]> {
    const gap: string[] = [];
    for (let from: string | undefined = token; from !== undefined;) {
      const path = `/v3/rooms/${encodeURIComponent(this.#roomId)}/messages`;
      const page: Answer = await this.user.call("GET", `${path}?dir=b&limit=3&from=${from}`);
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
