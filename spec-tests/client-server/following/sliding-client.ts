import type { SlidingAnswer, SlidingRoom } from "../../answers.ts";
import type { Dice } from "../../oracle/dice.ts";
import type { TestUser } from "../client.ts";
import type { Follower } from "./following-client.ts";
import { KnownRoom, type Manner } from "./known-room.ts";

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
  readonly known: KnownRoom;
  readonly #manner: SlidingManner;
  readonly #dice: Dice;
  readonly #connection: string;
  #pos: string | undefined;
  #isJoined = false;

  constructor(user: TestUser, roomId: string, manner: SlidingManner, dice: Dice) {
    this.known = new KnownRoom(user, roomId, manner);
    this.#manner = manner;
    this.#dice = dice;
    this.#connection = `c${dice.below(1_000_000_000)}`;
  }

  async sync(): Promise<void> {
    if (this.#dice.below(12) === 0) this.#pos = undefined;
    // Its answer is lost, or it is given up for another one.
    if (this.#dice.below(4) === 0) await this.#ask(this.#dice.below(2) === 0);
    const { isFickle } = this.#manner;
    if (isFickle && this.#dice.below(3) === 0) await this.#take(await this.#ask(false));
    await this.#take(await this.#ask(true));
  }

  async #ask(isWanted: boolean): Promise<SlidingAnswer> {
    const { form } = this.#manner;
    const isDeployed = form === "deployed";
    const query = isDeployed && this.#pos !== undefined ? `?pos=${this.#pos}` : "";
    const { status, text, body } = await this.known.user.call<SlidingAnswer>(
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
    const { form, by, limit, lazy } = this.#manner;
    const isDeployed = form === "deployed";
    const tuples = [["*", "*"], ...(lazy ? [["m.room.member", "$LAZY"]] : [])];
    const required_state = isDeployed ? tuples : { include: [{}], lazy_members: lazy ?? false };
    const config = { timeline_limit: limit, required_state };
    if (by === "subscription") return { room_subscriptions: { [this.known.roomId]: config } };
    return {
      lists: { all: { ...config, ...(isDeployed ? { ranges: [[0, 9]] } : { range: [0, 9] }) } },
    };
  }

  async #take(answer: SlidingAnswer): Promise<void> {
    this.#pos = answer.pos;
    const told = answer.rooms[this.known.roomId];
    if (!told) return;
    const wasJoined = this.#isJoined && told.initial !== true;
    this.#isJoined = this.#isTheirs(told);
    if (!this.#isJoined && told.timeline === undefined) return;
    this.#takeState(told);
    if (this.#manner.lazy && this.#isJoined) this.known.checkSenders(told.timeline ?? []);
    await this.#takeTimeline(told, wasJoined);
  }

  /** Whether the user is in the room, by what is told of it. */
  #isTheirs({ invite_state, stripped_state, required_state = [] }: SlidingRoom): boolean {
    if (invite_state !== undefined || stripped_state !== undefined) return false;
    const { userId } = this.known.user;
    const own = required_state.find((it) => it.state_key === userId && it.content);
    return own === undefined ? true : own.content.membership === "join";
  }

  #takeState({ initial, limited, required_state = [] }: SlidingRoom): void {
    if (initial) this.known.state.clear();
    // Who has not been told of all changes does not know who is in the room.
    else if (limited && this.#manner.lazy) this.known.forgetMembers();
    for (const it of required_state) {
      const key = `${it.type} ${it.state_key}`;
      if (it.content === undefined) this.known.state.delete(key);
      else this.known.state.set(key, it.event_id);
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
    const { manner, seen, faults } = this.known;
    const ids = timeline.map((it) => it.event_id);
    if (ids.length > manner.limit) faults.push("more events than were asked for");
    const mayRepeat = limited || initial || expanded_timeline || unstable_expanded_timeline;
    if (!mayRepeat && ids.some((it) => seen.has(it))) faults.push("an event again");
    const gap = limited ? await this.known.readGap(prev_batch, wasJoined) : [];
    for (const it of [...gap, ...ids]) seen.add(it);
  }
}
