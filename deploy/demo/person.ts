import { createHmac } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Subsidiary } from "./subsidiary.ts";

/** How often somebody looks whether something has come. */
const LOOK_EVERY_MS = 15;

/** How long anything may take to come. */
const PATIENCE_MS = 60_000;

/** The password of everybody in the demonstration. */
export const PASSWORD = "correct horse battery staple";

/** Somebody with a client, at the server of a subsidiary. */
export type Person = {
  readonly name: string;
  readonly userId: string;
  readonly at: Subsidiary;
  /** @returns the room's ID */
  createRoom(options: object): Promise<string>;
  /** Joins by the room's alias or ID. @param via servers that know the room */
  join(room: string, via?: readonly string[]): Promise<void>;
  invite(roomId: string, other: Person): Promise<void>;
  /** Waits until an invitation has come. */
  untilInvited(roomId: string): Promise<void>;
  /** @returns the event's ID */
  say(roomId: string, text: string): Promise<string>;
  /** Waits until an event has come. @returns after how many milliseconds */
  untilSeen(roomId: string, eventId: string): Promise<number>;
  /** The texts said in a room, the oldest first, as the person's client shows them. */
  textsOf(roomId: string): Promise<readonly string[]>;
};

const Nonce = z.object({ nonce: z.string() });
const Registered = z.object({ user_id: z.string(), access_token: z.string() });
const Created = z.object({ room_id: z.string() });
const Sent = z.object({ event_id: z.string() });
const Synced = z.object({
  rooms: z.object({ invite: z.record(z.string(), z.unknown()).optional() }).optional(),
});
const Page = z.object({
  chunk: z.array(z.object({ content: z.object({ body: z.string().optional() }) })),
});

/**
 * Makes an account at a subsidiary's server, as a script of its administrator would.
 *
 * @param signal ends whatever is asked or waited for
 */
export async function register(at: Subsidiary, name: string, signal: AbortSignal): Promise<Person> {
  const path = "/_synapse/admin/v1/register";
  const ask = asker(at.url, signal);
  const { nonce } = Nonce.parse(await ask("GET", path));
  const username = name.toLowerCase();
  const mac = createHmac("sha1", at.sharedSecret)
    .update([nonce, username, PASSWORD, "notadmin"].join("\0"))
    .digest("hex");
  const account = { nonce, username, password: PASSWORD, displayname: name, admin: false, mac };
  const registered = Registered.parse(await ask("POST", path, account));
  const call = asker(at.url, signal, registered.access_token);
  return personOf({ name, userId: registered.user_id, at }, call, signal);
}

function personOf(
  who: Pick<Person, "name" | "userId" | "at">,
  call: Ask,
  signal: AbortSignal,
): Person {
  const at = (roomId: string) => `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}`;
  let said = 0;
  const until = async (what: string, holds: () => Promise<boolean>): Promise<number> => {
    const begun = performance.now();
    while (!(await holds())) {
      if (performance.now() - begun > PATIENCE_MS) throw new Error(`${who.name} waits for ${what}`);
      await sleep(LOOK_EVERY_MS, undefined, { signal });
    }
    return performance.now() - begun;
  };
  return {
    ...who,
    async createRoom(options) {
      return Created.parse(await call("POST", "/_matrix/client/v3/createRoom", options)).room_id;
    },
    async join(room, via = []) {
      const query = new URLSearchParams(via.map((server) => ["via", server]));
      await call(
        "POST",
        `/_matrix/client/v3/join/${encodeURIComponent(room)}?${query.toString()}`,
        {},
      );
    },
    async invite(roomId, other) {
      await call("POST", `${at(roomId)}/invite`, { user_id: other.userId });
    },
    async untilInvited(roomId) {
      await until(`an invitation to ${roomId}`, async () => {
        const { rooms } = Synced.parse(await call("GET", "/_matrix/client/v3/sync"));
        return rooms?.invite?.[roomId] !== undefined;
      });
    },
    async say(roomId, text) {
      const path = `${at(roomId)}/send/m.room.message/${said++}`;
      return Sent.parse(await call("PUT", path, { msgtype: "m.text", body: text })).event_id;
    },
    async untilSeen(roomId, eventId) {
      const path = `${at(roomId)}/event/${encodeURIComponent(eventId)}`;
      return await until(eventId, async () => (await call("GET", path, undefined, [404])) !== null);
    },
    async textsOf(roomId) {
      const filter = encodeURIComponent(JSON.stringify({ types: ["m.room.message"] }));
      const path = `${at(roomId)}/messages?dir=b&limit=100&filter=${filter}`;
      const { chunk } = Page.parse(await call("GET", path));
      return chunk.map(({ content }) => content.body ?? "").reverse();
    },
  };
}

/** Asks a server something. @returns null for a status that was expected. */
type Ask = (
  method: string,
  path: string,
  body?: unknown,
  expected?: readonly number[],
) => Promise<unknown>;

function asker(url: string, signal: AbortSignal, token?: string): Ask {
  return async (method, path, body, expected = []) => {
    const response = await fetch(url + path, {
      method,
      signal,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text);
    if (expected.includes(response.status)) return null;
    throw new Error(`${method} ${path}: ${response.status} ${text}`);
  };
}
