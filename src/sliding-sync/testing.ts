import { afterAll, beforeAll, beforeEach } from "vitest";
import { z } from "zod";
import { type Answered, asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";

export type User = { readonly token: string; readonly id: string };

/** What most tests ask for. */
export const LIST = { ranges: [[0, 9]], timeline_limit: 3, required_state: [["m.room.name", ""]] };

const SlidEvent = z.looseObject({
  type: z.string(),
  event_id: z.string().optional(),
  state_key: z.string().optional(),
  content: z.looseObject({ body: z.string().optional() }),
  unsigned: z.looseObject({ "m.relations": z.looseObject({}).optional() }).optional(),
});
const SlidRoom = z.looseObject({
  initial: z.boolean().optional(),
  name: z.string().nullable().optional(),
  notification_count: z.number().optional(),
  prev_batch: z.string().optional(),
  required_state: z.array(SlidEvent).optional(),
  timeline: z.array(SlidEvent).optional(),
});
type SlidRoom = z.infer<typeof SlidRoom>;
const PROFILES = "org.matrix.msc4262.profiles";
const Extensions = z.looseObject({
  account_data: z
    .looseObject({ global: z.array(SlidEvent).optional(), rooms: z.unknown().optional() })
    .optional(),
  e2ee: z.looseObject({ device_lists: z.unknown().optional() }).optional(),
  receipts: z
    .object({ rooms: z.record(z.string(), z.looseObject({ content: z.unknown() })) })
    .optional(),
  to_device: z
    .object({
      next_batch: z.string(),
      events: z.array(z.looseObject({ content: z.looseObject({ n: z.number() }) })),
    })
    .optional(),
  [PROFILES]: z.object({ users: z.record(z.string(), z.unknown()) }).optional(),
});

/** What sliding sync answers, as far as the tests go by it. */
export const Slid = z.looseObject({
  pos: z.string(),
  rooms: z.record(z.string(), SlidRoom),
  lists: z.record(z.string(), z.looseObject({ count: z.number() })).optional(),
  extensions: Extensions.optional(),
});

/** Two processes, and of each test two users. */
export class Stage {
  alice: User = { token: "", id: "" };
  bob: User = { token: "", id: "" };
  #homes: TestHomeservers | undefined;
  #asks: readonly Ask[] = [];
  #count = 0;

  /** To be called once in a test file. */
  static set(): Stage {
    const stage = new Stage();
    beforeAll(async () => {
      stage.#homes = await testHomeservers(2, LENIENT);
      stage.#asks = stage.#homes.all.map(asking);
    });
    afterAll(async () => await stage.#homes?.close());
    beforeEach(async () => {
      stage.alice = await stage.#user("alice");
      stage.bob = await stage.#user("bob");
    });
    return stage;
  }

  async #user(name: string): Promise<User> {
    const username = `${name}${++this.#count}`;
    const { access_token: token, user_id: id } = await registered(this.ask, username);
    return { token, id };
  }

  get ask(): Ask {
    const [ask] = this.#asks;
    if (!ask) throw new Error("the stage is not set yet");
    return ask;
  }

  /** The other process. */
  get other(): Ask {
    const [, other] = this.#asks;
    if (!other) throw new Error("the stage is not set yet");
    return other;
  }

  async room(creator: User, body: object = {}): Promise<string> {
    return (await this.act(creator, "POST", "createRoom", { preset: "public_chat", ...body }))
      .room_id;
  }

  /** Does something that is not refused. */
  async act(who: User, method: string, path: string, body: object = {}) {
    const answer = await this.ask(method, path, { token: who.token, body });
    return taken(answer);
  }

  /** @returns the event's ID. */
  async say(who: User, roomId: string, body: string): Promise<string> {
    const path = `rooms/${roomId}/send/m.room.message/t${++this.#count}`;
    return (await this.act(who, "PUT", path, { msgtype: "m.text", body })).event_id;
  }

  /** Syncs as clients of today do. */
  async sync(who: User, body: object, query = "", on = this.ask) {
    const path = `/_matrix/client/unstable/org.matrix.simplified_msc3575/sync${query}`;
    const answer = await on("POST", path, { token: who.token, body });
    return Slid.parse(taken(answer));
  }
}

export const after = ({ pos }: { readonly pos: string }) => `?pos=${pos}`;

/** What a timeline says. */
export function bodies(told: SlidRoom | undefined): string[] | undefined {
  return told?.timeline?.map((it) => it.content.body ?? it.type);
}

function taken<T>({ status, body }: Answered<T>): T {
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
}
