import { z } from "zod";
import type { HttpAnswer, HttpConnection } from "./http-connection.ts";

/** One user of the load, logged in. */
export type Account = { readonly userId: string; readonly token: string };

/** A request of the client-server API. The path is what follows `/_matrix/client/v3`, or another prefix, encoded. */
export type ClientRequest = {
  readonly method: "GET" | "POST" | "PUT";
  /** What follows `/_matrix/client`; or all of it. */
  readonly prefix?: `/${string}`;
  readonly path: string;
  readonly account?: Account;
  /** JSON if it is text. */
  readonly body?: string | File;
};

/** Something to upload. */
export type File = { readonly bytes: Uint8Array; readonly contentType: string };

/** The server said no where it should not have. */
class RefusedError extends Error {
  override readonly name = "RefusedError";
}

const registered = z.object({ user_id: z.string(), access_token: z.string() });
const roomMade = z.object({ room_id: z.string() });
const filterMade = z.object({ filter_id: z.string() });

/**
 * Sends a request.
 *
 * @throws RefusedError when the answer is not 200; its message has the answer's `errcode` and no more of it.
 */
export async function ask(connection: HttpConnection, request: ClientRequest): Promise<Buffer> {
  const answer = await connection.exchange(onWire(request), request.method !== "POST");
  if (answer.status !== 200) throw new RefusedError(refusal(request, answer));
  return answer.body;
}

const PASSWORD = "a password of the bench";

/** Registers a user with a device. The password is the same for all. */
export async function register(connection: HttpConnection, localpart: string): Promise<Account> {
  const body = JSON.stringify({
    auth: { type: "m.login.dummy" },
    username: localpart,
    password: PASSWORD,
  });
  const answer = await ask(connection, { method: "POST", path: "/register", body });
  const { user_id: userId, access_token: token } = registered.parse(JSON.parse(answer.toString()));
  return { userId, token };
}

/** Logs a user in, with a device that is new unless it is named. */
export async function logIn(
  connection: HttpConnection,
  userId: string,
  deviceId?: string,
): Promise<Account> {
  const body = JSON.stringify({
    type: "m.login.password",
    identifier: { type: "m.id.user", user: userId },
    password: PASSWORD,
    ...(deviceId !== undefined && { device_id: deviceId }),
  });
  const answer = await ask(connection, { method: "POST", path: "/login", body });
  return { userId, token: registered.parse(JSON.parse(answer.toString())).access_token };
}

/** Makes a room that everybody may join and in which everybody may do everything. */
export async function createRoom(connection: HttpConnection, account: Account): Promise<string> {
  const body = JSON.stringify({
    preset: "public_chat",
    name: "Bench",
    power_level_content_override: { state_default: 0, redact: 0 },
  });
  const answer = await ask(connection, { method: "POST", path: "/createRoom", account, body });
  return roomMade.parse(JSON.parse(answer.toString())).room_id;
}

/** Joins a room. */
export async function joinRoom(
  connection: HttpConnection,
  account: Account,
  roomId: string,
): Promise<void> {
  const path = `/join/${encodeURIComponent(roomId)}`;
  await ask(connection, { method: "POST", path, account, body: "{}" });
}

/** Stores a filter. */
export async function storeFilter(
  connection: HttpConnection,
  account: Account,
  filter: object,
): Promise<string> {
  const path = `/user/${encodeURIComponent(account.userId)}/filter`;
  const answer = await ask(connection, {
    method: "POST",
    path,
    account,
    body: JSON.stringify(filter),
  });
  return filterMade.parse(JSON.parse(answer.toString())).filter_id;
}

/** An event to send. `path` is what follows the room: `send/m.room.message/…` or `state/…`. */
export type Outgoing = { readonly roomId: string; readonly path: string; readonly content: string };

/**
 * Sends an event.
 *
 * @returns its ID
 */
export async function putEvent(
  connection: HttpConnection,
  account: Account,
  { roomId, path, content }: Outgoing,
): Promise<string> {
  const answer = await ask(connection, {
    method: "PUT",
    path: `/rooms/${encodeURIComponent(roomId)}/${path}`,
    account,
    body: content,
  });
  const eventId = /"event_id":\s*"([^"]+)"/.exec(answer.toString("latin1"))?.[1];
  if (eventId === undefined) throw new RefusedError("An answer to a sent event has no event_id.");
  return eventId;
}

let transactions = 0;

/** A transaction ID that this process has not used yet. */
export function newTransactionId(): string {
  transactions += 1;
  return `bench${transactions}`;
}

/** What `/sync` is asked. */
export type SyncQuery = {
  readonly filter: string;
  readonly since?: string;
  readonly timeoutMs?: number;
  readonly presence?: "online" | "offline";
};

/** An answer of `/sync`, not parsed but for its token. */
export type SyncAnswer = { readonly nextBatch: string; readonly body: Buffer };

/** Syncs. Nobody comes online by it, unless it is said: what presence costs is a workload of its own. */
export async function sync(
  connection: HttpConnection,
  account: Account,
  { filter, since, timeoutMs = 0, presence = "offline" }: SyncQuery,
): Promise<SyncAnswer> {
  const from = since === undefined ? "" : `&since=${encodeURIComponent(since)}`;
  const query = `set_presence=${presence}&timeout=${timeoutMs}&filter=${encodeURIComponent(filter)}${from}`;
  const body = await ask(connection, { method: "GET", path: `/sync?${query}`, account });
  const nextBatch = /"next_batch":\s*"([^"]+)"/.exec(body.toString("latin1"))?.[1];
  if (nextBatch === undefined) throw new RefusedError("An answer of /sync has no next_batch.");
  return { nextBatch, body };
}

/** Syncs by sliding sync, as clients of today do. Nobody comes online by it. */
export async function slidingSync(
  connection: HttpConnection,
  account: Account,
  { body, pos, timeoutMs = 0 }: { body: string; pos?: string; timeoutMs?: number },
): Promise<{ readonly pos: string; readonly body: Buffer }> {
  const from = pos === undefined ? "" : `&pos=${encodeURIComponent(pos)}`;
  const answer = await ask(connection, {
    method: "POST",
    prefix: "/unstable/org.matrix.simplified_msc3575",
    path: `/sync?set_presence=offline&timeout=${timeoutMs}${from}`,
    account,
    body,
  });
  const next = /"pos":\s*"([^"]+)"/.exec(answer.toString("latin1"))?.[1];
  if (next === undefined) throw new RefusedError("An answer of sliding sync has no pos.");
  return { pos: next, body: answer };
}

function onWire(request: ClientRequest): string | Uint8Array {
  const { method, prefix = "/v3", path, account, body } = request;
  const base = prefix.startsWith("/_matrix/") ? prefix : `/_matrix/client${prefix}`;
  const head =
    `${method} ${base}${path} HTTP/1.1\r\nHost: bench\r\n` +
    (account === undefined ? "" : `Authorization: Bearer ${account.token}\r\n`);
  if (body === undefined) return `${head}\r\n`;
  if (typeof body !== "string") {
    const { bytes, contentType } = body;
    const lines = `${head}Content-Type: ${contentType}\r\nContent-Length: ${bytes.length}\r\n\r\n`;
    return Buffer.concat([Buffer.from(lines), bytes]);
  }
  const length = Buffer.byteLength(body);
  return `${head}Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`;
}

function refusal({ method, path }: ClientRequest, { status, body }: HttpAnswer): string {
  const errcode = /"errcode":\s*"(\w+)"/.exec(body.toString("latin1"))?.[1] ?? "no errcode";
  const operation = path.replace(/\?.*/, "").replaceAll(/[!$@]|%(?:21|24|40)[^/]*/g, "…");
  return `${method} ${operation} was answered ${status} ${errcode}`;
}
