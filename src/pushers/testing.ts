/** A push gateway, and users who are told over it. For tests alone. */

import { once } from "node:events";
import { createServer } from "node:http";
import { expect } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { runFollowers } from "#src/streams/run-followers.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { followPushed } from "./follow-streams.ts";
import { runPushers } from "./run-pushers.ts";

const TIMES = { pauseMs: 20, lookMs: 100, firstRetryMs: 50, lastRetryMs: 200 };

/** What goes on in a homeserver that tells push gateways. */
export const pushing = (hs: Homeserver) => [
  runFollowers(hs, [{ ...followPushed, pauseMs: 20 }]),
  runPushers(hs, TIMES),
];

/** A notification as a push gateway is told it. */
type Notification = {
  readonly event_id?: string;
  readonly devices: readonly { readonly pushkey: string; readonly data?: object }[];
};

/** A push gateway that remembers what it is told, and answers as the test wants. */
async function testGateway() {
  const told: Notification[] = [];
  const gateway = { told, status: 200, rejected: [] as string[] | null, url: "", close: () => {} };
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (piece: Buffer) => (text += piece.toString()));
    request.on("end", () => {
      if (gateway.status === 200) told.push(JSON.parse(text).notification);
      response.writeHead(gateway.status).end(JSON.stringify({ rejected: gateway.rejected }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  gateway.url = `http://127.0.0.1:${port}/_matrix/push/v1/notify`;
  gateway.close = () => void server.close();
  return gateway;
}

/** Whoever does something. */
type Teller = { readonly token: string };

let made = 0;
let transactions = 0;

/** Two processes of a homeserver that tell a push gateway, and users of theirs. */
export async function pushingHouse() {
  const gateway = await testGateway();
  const homes = await testHomeservers(
    2,
    {
      ...LENIENT,
      ARCHIPEL_DATABASE_MAX_CONNECTIONS: "4",
      ARCHIPEL_PUSH_PLAIN_HTTP: "true",
      ARCHIPEL_FEDERATION_ALLOWED_ADDRESS_RANGES: "127.0.0.0/8",
    },
    pushing,
  );
  const { hs } = homes;
  const [ask, askOther] = homes.all.map(asking) as [Ask, Ask];

  /** A user, and what they do. */
  async function user(name: string) {
    const token = (await registered(ask, `${name}${++made}`)).access_token as string;
    const pushkey = `key of ${name}${made}`;
    const setPusher = async (its: object = {}, data: object = {}, by = ask) =>
      await by("POST", "pushers/set", {
        token,
        body: {
          kind: "http",
          app_id: "org.example",
          pushkey,
          app_display_name: "Example",
          device_display_name: "Phone",
          lang: "en",
          data: { url: gateway.url, ...data },
          ...its,
        },
      });
    const told = () => gateway.told.filter((it) => it.devices[0]?.pushkey === pushkey);
    const toldOf = async (eventId: string) =>
      await expect
        .poll(() => told().find((it) => it.event_id === eventId), { timeout: 15_000 })
        .toBeDefined()
        .then(() => told().find((it) => it.event_id === eventId));
    return { token, pushkey, setPusher, told, toldOf };
  }

  async function roomOf(creator: Teller, ...others: readonly Teller[]): Promise<string> {
    const body = { preset: "public_chat", name: "Harbour", room_alias_name: `harbour${made}` };
    const roomId = (await ask("POST", "createRoom", { token: creator.token, body })).body.room_id;
    for (const { token } of others) await ask("POST", `join/${roomId}`, { token, body: {} });
    return roomId as string;
  }

  const say = async (by: Teller, roomId: string, its: object = {}): Promise<string> => {
    const body = { msgtype: "m.text", body: "land ahoy", ...its };
    const path = `rooms/${roomId}/send/m.room.message/${++transactions}`;
    return (await askOther("PUT", path, { token: by.token, body })).body.event_id;
  };
  const read = async (by: Teller, roomId: string, eventId: string) =>
    await ask("POST", `rooms/${roomId}/receipt/m.read/${eventId}`, { token: by.token, body: {} });

  async function close(): Promise<void> {
    await homes.close();
    gateway.close();
  }
  return { gateway, hs, ask, askOther, user, roomOf, say, read, close };
}
