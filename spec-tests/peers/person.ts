import { expect, vi } from "vitest";
import type { Body, ClientEvent } from "../answers.ts";
import { type Answer, registerUser, type TestUser } from "../test-user.ts";
import type { Peer } from "./pair.ts";

/** How long something may take that goes over to the other server, on a busy machine. */
const LATER = { timeout: 30_000, interval: 50 };

/** How long a test may take that waits so several times. */
export const WITH_TIME = 120_000;

/** A user of one of two servers, who does things in rooms and looks what has come of those of others. */
export type Person = TestUser & {
  readonly home: Peer;
  /** Calls the client-server API, and expects that it goes well. @returns the body */
  does<Said = Body>(method: string, path: string, body?: unknown): Promise<Said>;
  join(roomIdOrAlias: string, via?: Peer): Promise<string>;
  /** Does one of what can be done to members: `invite`, `kick`, `ban`, `unban`. */
  act(act: string, roomId: string, other: Person): Promise<void>;
  leave(roomId: string): Promise<void>;
  /** @returns the event's ID */
  send(roomId: string, type: string, content: object): Promise<string>;
  /** @returns the event's ID */
  say(roomId: string, text: string): Promise<string>;
  redact(roomId: string, eventId: string, reason?: string): Promise<void>;
  setState(roomId: string, type: string, content: object, stateKey?: string): Promise<string>;
  /** The content of a state event as this user may see it, or what refuses it. */
  stateOf(roomId: string, type: string, stateKey?: string): Promise<Body>;
  membershipOf(other: Person, roomId: string): Promise<string | undefined>;
  /** A room's newest events, as they stand in it, newest last. */
  newest(roomId: string, limit?: number): Promise<ClientEvent[]>;
  /** Every event of a room from its beginning on, or from where this user may see it on. */
  all(roomId: string): Promise<ClientEvent[]>;
};

let transaction = 0;

/** Registers a user on one of two servers. */
export async function personAt(home: Peer, name: string): Promise<Person> {
  const user = await registerUser(home.url, name);
  const does: Person["does"] = async <Said = Body>(
    method: string,
    path: string,
    body?: unknown,
  ) => {
    const answer = await user.call<Said>(method, path, body);
    if (answer.status === 200) return answer.body;
    const said = JSON.stringify(answer.body);
    throw new Error(`${method} ${path} by ${user.userId}: ${answer.status} ${said}`);
  };
  const inRoom = (roomId: string) => `/v3/rooms/${E(roomId)}`;
  const page = async (roomId: string, query: string) =>
    await does("GET", `${inRoom(roomId)}/messages?dir=b&${query}`);
  const send: Person["send"] = async (roomId, type, content) => {
    const path = `${inRoom(roomId)}/send/${type}/t${(transaction += 1)}`;
    return (await does("PUT", path, content)).event_id;
  };
  const stateOf: Person["stateOf"] = async (roomId, type, stateKey = "") =>
    (await user.call("GET", `${inRoom(roomId)}/state/${type}/${E(stateKey)}`)).body;
  return {
    ...user,
    home,
    does,
    send,
    stateOf,
    async join(roomIdOrAlias, via) {
      const query = via === undefined ? "" : `?via=${E(via.serverName)}`;
      return (await does("POST", `/v3/join/${E(roomIdOrAlias)}${query}`, {})).room_id;
    },
    async act(act, roomId, other) {
      await does("POST", `${inRoom(roomId)}/${act}`, { user_id: other.userId });
    },
    async leave(roomId) {
      await does("POST", `${inRoom(roomId)}/leave`, {});
    },
    say: async (roomId, body) => await send(roomId, "m.room.message", { msgtype: "m.text", body }),
    async redact(roomId, eventId, reason) {
      const path = `${inRoom(roomId)}/redact/${E(eventId)}/t${(transaction += 1)}`;
      await does("PUT", path, { ...(reason !== undefined && { reason }) });
    },
    async setState(roomId, type, content, stateKey = "") {
      const path = `${inRoom(roomId)}/state/${type}/${E(stateKey)}`;
      return (await does("PUT", path, content)).event_id;
    },
    membershipOf: async (other, roomId) =>
      (await stateOf(roomId, "m.room.member", other.userId)).membership,
    newest: async (roomId, limit = 50) => (await page(roomId, `limit=${limit}`)).chunk.toReversed(),
    async all(roomId) {
      const events: ClientEvent[] = [];
      for (let from = ""; ;) {
        const { chunk, end } = await page(roomId, `limit=100${from && `&from=${E(from)}`}`);
        events.unshift(...chunk.toReversed());
        if (end === undefined || end === from) return events;
        from = end;
      }
    },
  };
}

/** Text within a path. */
export const E = encodeURIComponent;

/** Waits until what is read, again and again, fits what is expected. */
export async function eventually(
  read: () => Promise<unknown>,
  expected: unknown,
  options: typeof LATER = LATER,
): Promise<void> {
  await vi.waitFor(async () => expect(await read()).toEqual(expected), options);
}

/** The texts of messages, in the order of the events. */
export function textsOf(events: readonly ClientEvent[]): string[] {
  return events.filter((it) => it.type === "m.room.message").map((it) => it.content.body);
}

/** Expects that an answer is a refusal. */
export function expectRefusal({ status, body }: Answer, code: string): void {
  expect([status, body.errcode]).toEqual([403, code]);
}
