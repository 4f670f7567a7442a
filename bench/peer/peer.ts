import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { xMatrixHeader } from "#federation/client/x-matrix.ts";
import type { WireEvent } from "#src/events/pdu.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { EventId, ServerName, UserId } from "#src/kit/identifiers.ts";
import { type SigningKey, signingKeyFromSeed, signJson } from "#src/kit/signed-json.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import type { HttpConnection } from "../load/http-connection.ts";
import type { FederationOfRun } from "../load/stage.ts";
import { joinElsewhere, type SignRequest } from "./join-elsewhere.ts";
import { answerOfRoom } from "./peer-answers.ts";
import { peerListener, type PeerListener } from "./peer-listener.ts";
import { type HeldEvent, PeerRoom } from "./peer-room.ts";

/** Another server, as the server that is measured sees it: a part of the load, with keys and rooms of its own. */
export type Peer = Pick<PeerListener, "goDown" | "comeUp"> & {
  readonly name: ServerName;
  user(localpart: string): UserId;
  /** Makes a room of its own, which others can join. */
  createRoom(creator: UserId): PeerRoom;
  /** Has a user join a room of the server that is measured. */
  joinRoom(connection: HttpConnection, roomId: string, user: UserId): Promise<void>;
  /** A transaction, signed and ready to be sent: so that this costs nothing while anything is measured. */
  transaction(events: readonly HeldEvent[]): string;
  /** The events that it has been sent, in the order in which they came. */
  readonly received: WireEvent[];
  /** Called whenever a transaction has been taken. */
  onReceived(heard: () => void): void;
};

/** Starts a server of the load. Its name is its address. */
export async function startPeer(run: FederationOfRun): Promise<Peer> {
  const key = signingKeyFromSeed("ed25519:bench", randomBytes(32));
  const rooms = new Map<string, PeerRoom>();
  const received: WireEvent[] = [];
  let heard = () => {};
  const answers = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", "https://peer");
    const [, , , , ...parts] = url.pathname.split("/").map(decodeURIComponent);
    const body = await text(request);
    if (parts[0] !== "send") {
      const room = roomOfRequest(rooms, parts);
      const isKey = url.pathname.startsWith("/_matrix/key/");
      const asked = { parts, query: url.searchParams, body };
      return end(response, isKey ? keys : room && answerOfRoom(room, asked));
    }
    end(response, '{"pdus":{}}');
    received.push(...pdusIn(body));
    heard();
  };
  const listener = await peerListener(run, (request, response) => void answers(request, response));
  const name = listener.address as ServerName;
  const keys = keyDocument(name, key);
  const sign = requestSigner({ server: name, key, destination: run.serverName as ServerName });
  return {
    ...listener,
    name,
    user: (localpart) => `@${localpart}:${name}`,
    received,
    onReceived: (it) => void (heard = it),
    createRoom(creator) {
      const room = new PeerRoom({ server: name, key }, creator);
      rooms.set(room.roomId, room);
      return room;
    },
    async joinRoom(connection, roomId, user) {
      await joinElsewhere({ connection, sign, maker: { server: name, key } }, roomId, user);
    },
    transaction(events) {
      const uri = `/_matrix/federation/v1/send/${randomBytes(6).toString("hex")}`;
      const pdus = events.map(({ json }) => json).join(",");
      const about = `"origin":"${name}","origin_server_ts":${Date.now()}`;
      return sign("PUT", uri, `{"edus":[],${about},"pdus":[${pdus}]}`);
    },
  };
}

function roomOfRequest(
  rooms: ReadonlyMap<string, PeerRoom>,
  [operation, subject = ""]: readonly string[],
): PeerRoom | undefined {
  if (operation !== "event") return rooms.get(subject);
  return rooms.values().find((room) => room.events.has(subject as EventId));
}

function end(response: ServerResponse, said: string | undefined): void {
  response.setHeader("content-type", "application/json");
  if (said === undefined) response.statusCode = 404;
  response.end(said ?? '{"errcode":"M_NOT_FOUND","error":"The load has no such thing"}');
}

function keyDocument(name: ServerName, key: SigningKey): string {
  const document = {
    server_name: name,
    valid_until_ts: Date.now() + 24 * 60 * 60 * 1000,
    verify_keys: { [key.keyId]: { key: unpaddedBase64(key.publicKey) } },
    old_verify_keys: {},
  };
  return JSON.stringify(signJson(document, name, key));
}

type Signer = {
  readonly server: ServerName;
  readonly key: SigningKey;
  readonly destination: ServerName;
};

/** Makes requests as they go over the wire. */
function requestSigner({ server, key, destination }: Signer): SignRequest {
  return (method, uri, content) => {
    const signed = { method, uri, origin: server, destination, ...(content && { content }) };
    const head =
      `${method} ${uri} HTTP/1.1\r\nHost: bench\r\n` +
      `Authorization: ${xMatrixHeader(signed, key)}\r\n`;
    if (content === undefined) return `${head}\r\n`;
    const length = Buffer.byteLength(content);
    return `${head}Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${content}`;
  };
}

function pdusIn(body: string): WireEvent[] {
  const { pdus } = parseWireJson(body) as { pdus?: unknown };
  return Array.isArray(pdus) ? (pdus as WireEvent[]) : [];
}
