import { randomBytes } from "node:crypto";
import type { Body, SyncAnswer } from "./answers.ts";

/** The password of every user that tests register. */
export const PASSWORD = "secret";

const SYNC_TIMEOUT_MS = 30_000;

/** A response as it came: its status, and its body if that was JSON. */
export type Answer<Said = Body> = { readonly status: number; readonly body: Said };

/** A user with one device that calls the client-server API by hand. */
export type TestUser = {
  readonly userId: string;
  readonly localpart: string;
  readonly deviceId: string;
  readonly accessToken: string;
  /** Calls the client-server API as this user. Paths begin after `/_matrix/client`. */
  call<Said = Body>(method: string, path: string, body?: unknown): Promise<Answer<Said>>;
  /** @returns the room's ID */
  createRoom(options?: object): Promise<string>;
  /**
   * Syncs, from the beginning of this user's time and on, until something holds of one response.
   *
   * @returns that response
   * @throws Error after half a minute
   */
  syncUntil(holds: (response: SyncAnswer) => boolean): Promise<SyncAnswer>;
};

/**
 * Registers a user whose name begins with `name` and is new.
 *
 * @spec client-server-api#post_matrixclientv3register
 */
export async function registerUser(url: string, name: string): Promise<TestUser> {
  const username = `${name}-${randomBytes(4).toString("hex")}`;
  const { status, body } = await callServer(url, "POST", "/v3/register", {
    body: { username, password: PASSWORD, auth: { type: "m.login.dummy" } },
  });
  if (status !== 200) {
    throw new Error(`${username} could not be registered: ${status} ${body?.errcode}`);
  }
  const { user_id: userId, device_id: deviceId, access_token: accessToken } = body;
  const call: TestUser["call"] = async (method, path, content) =>
    await callServer(url, method, path, { token: accessToken, body: content });
  return {
    userId,
    localpart: username,
    deviceId,
    accessToken,
    call,
    createRoom: async (options = {}) => await createRoom(call, options),
    syncUntil: async (holds) => await syncUntil(call, holds),
  };
}

/** Calls the client-server API. Paths begin after `/_matrix/client`. */
async function callServer<Said = Body>(
  url: string,
  method: string,
  path: string,
  { token, body }: { readonly token?: string; readonly body?: unknown },
): Promise<Answer<Said>> {
  const response = await fetch(`${url}/_matrix/client${path}`, {
    method,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
  return { status: response.status, body: isJson ? JSON.parse(text) : text };
}

async function createRoom(call: TestUser["call"], options: object): Promise<string> {
  const { status, body } = await call("POST", "/v3/createRoom", options);
  if (status !== 200) throw new Error(`The room could not be made: ${status} ${body?.errcode}`);
  return body.room_id;
}

async function syncUntil(
  call: TestUser["call"],
  holds: (response: SyncAnswer) => boolean,
): Promise<SyncAnswer> {
  const deadline = Date.now() + SYNC_TIMEOUT_MS;
  let since: string | undefined;
  while (Date.now() < deadline) {
    const query = since === undefined ? "" : `?timeout=1000&since=${encodeURIComponent(since)}`;
    const { status, body } = await call("GET", `/v3/sync${query}`);
    if (status !== 200) throw new Error(`The sync failed: ${status} ${body?.errcode}`);
    if (holds(body)) return body;
    since = body.next_batch;
  }
  throw new Error("What was waited for did not come in any sync.");
}
