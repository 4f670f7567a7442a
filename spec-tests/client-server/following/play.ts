import { Dice } from "../../oracle/dice.ts";
import type { TestHomeserver, TestUser } from "../client.ts";
import { type Follower, FollowingClient } from "./following-client.ts";
import type { Manner } from "./known-room.ts";
import { SlidingClient, type SlidingManner } from "./sliding-client.ts";

const VISIBILITIES = ["world_readable", "shared", "invited", "joined"];
const MANNERS: readonly Manner[] = [
  { limit: 2 },
  { limit: 50 },
  { limit: 3, after: "use_state_after" },
  { limit: 50, after: "org.matrix.msc4222.use_state_after" },
  { limit: 3, lazy: true },
  { limit: 4, lazy: true, redundant: true },
  { limit: 4, lazy: true, after: "use_state_after" },
  { limit: 4, lazy: true, redundant: true, after: "use_state_after" },
  { limit: 2, types: ["m.room.message"], after: "use_state_after" },
];

/** What sliding sync tells of state is the state after the timeline. */
const AFTER = { after: "use_state_after" } as const;

const SLIDING_MANNERS: readonly SlidingManner[] = [
  { limit: 2, form: "deployed", by: "list", ...AFTER },
  { limit: 20, form: "deployed", by: "list", isFickle: true, ...AFTER },
  { limit: 2, form: "accepted", by: "list", isFickle: true, ...AFTER },
  { limit: 20, form: "accepted", by: "subscription", ...AFTER },
  { limit: 3, form: "deployed", by: "list", lazy: true, ...AFTER },
  { limit: 3, form: "accepted", by: "subscription", lazy: true, isFickle: true, ...AFTER },
];

/** What may happen in the room, and how often. */
const DEEDS: readonly (readonly [number, string])[] = [
  [3, "talk"],
  [2, "speak"],
  [2, "visibility"],
  [1, "topic"],
  [3, "join"],
  [1, "leave"],
  [1, "invite"],
  [1, "kick"],
  [1, "ban"],
  [1, "unban"],
  [1, "rename"],
  [3, "sync"],
];

/** A room that one has made, others who come and go, and clients of theirs. */
export class Play {
  readonly dice: Dice;
  readonly alice: TestUser;
  readonly others: readonly TestUser[];
  readonly roomId: string;
  readonly clients: readonly Follower[];
  #count = 0;

  constructor(dice: Dice, [alice, ...others]: readonly [TestUser, ...TestUser[]], roomId: string) {
    this.dice = dice;
    this.alice = alice;
    this.others = others;
    this.roomId = roomId;
    this.clients = others.flatMap((user) => [
      ...dice.some(MANNERS, 60).map((it) => new FollowingClient(user, roomId, it, dice)),
      ...dice.some(SLIDING_MANNERS, 60).map((it) => new SlidingClient(user, roomId, it, dice)),
    ]);
  }

  /** Does something; that the room may refuse it is part of the play. */
  async doOne(): Promise<void> {
    const deed = this.dice.weighted(DEEDS);
    const user = this.dice.pick(this.others);
    const n = (this.#count += 1);
    if (deed === "sync") {
      for (const it of this.dice.some(this.clients, 50)) await it.sync();
    } else if (deed === "talk") {
      for (let index = 0; index < 3; index++) await this.#say(this.alice, `${n}-${index}`);
    } else if (deed === "speak") await this.#say(user, `${n}`);
    else if (deed === "visibility") {
      const history_visibility = this.dice.pick(VISIBILITIES);
      await this.#set(this.alice, "m.room.history_visibility/", { history_visibility });
    } else if (deed === "topic") await this.#set(this.alice, "m.room.topic/", { topic: `${n}` });
    else if (deed === "rename") {
      const named = { membership: "join", displayname: `${n}` };
      const own = `m.room.member/${user.userId}`;
      // Only who is in the room: else it would be a join.
      if (await this.#isJoined(user)) await this.#set(user, own, named);
    } else if (deed === "join" || deed === "leave") await this.#post(user, deed, {});
    else await this.#post(this.alice, deed, { user_id: user.userId });
  }

  async #say(user: TestUser, text: string): Promise<void> {
    const path = `/v3/rooms/${encodeURIComponent(this.roomId)}/send/m.room.message/${text}`;
    await user.call("PUT", path, { msgtype: "m.text", body: text });
  }

  async #set(user: TestUser, path: string, content: object): Promise<void> {
    await user.call("PUT", `/v3/rooms/${encodeURIComponent(this.roomId)}/state/${path}`, content);
  }

  async #post(user: TestUser, verb: string, body: object): Promise<void> {
    await user.call("POST", `/v3/rooms/${encodeURIComponent(this.roomId)}/${verb}`, body);
  }

  async #isJoined(user: TestUser): Promise<boolean> {
    return (await user.call("GET", "/v3/joined_rooms")).body.joined_rooms.includes(this.roomId);
  }
}

/** Sets the scene by chance. */
export async function newPlay(hs: TestHomeserver, seed: number): Promise<Play> {
  const dice = new Dice(seed);
  const alice = await hs.registerUser("alice");
  const others = [await hs.registerUser("bob"), await hs.registerUser("carol")];
  const content = { history_visibility: dice.pick(VISIBILITIES) };
  const roomId = await alice.createRoom({
    preset: "public_chat",
    room_version: dice.pick(["1", "6", "11", "12"]),
    initial_state: [{ type: "m.room.history_visibility", content }],
  });
  return new Play(dice, [alice, ...others], roomId);
}
