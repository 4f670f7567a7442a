import { createHmac, randomBytes } from "node:crypto";
import { expect } from "vitest";
import type { Body, SyncAnswer } from "../answers.ts";
import { SHARED_HOMESERVERS } from "../shared-homeservers.ts";
import { faultsOfAnswer } from "../specification/check-answer.ts";

export type Method = "GET" | "PUT" | "POST" | "DELETE" | "OPTIONS" | "HEAD" | "PATCH";

export type Answer<Said = Body> = {
  readonly status: number;
  /** Parsed if it is JSON, else undefined. */
  readonly body: Said;
  readonly text: string;
  readonly headers: Headers;
};

export type RequestOptions = {
  readonly token?: string | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
};

/** Somebody who is logged in. */
export type TestUser = {
  readonly userId: string;
  readonly localpart: string;
  readonly password: string;
  readonly token: string;
  readonly deviceId: string;
  /** What logging in or registering answered. */
  readonly login: Body;
  /** Calls the client-server API as this user. Paths begin after `/_matrix/client`. */
  call<Said = Body>(method: Method, path: string, body?: unknown): Promise<Answer<Said>>;
  /** @returns the room's ID. */
  createRoom(request?: object): Promise<string>;
  /** @returns the event's ID. */
  send(roomId: string, type: string, content: object): Promise<string>;
  /** @returns the event's ID. */
  sendText(roomId: string, body: string): Promise<string>;
  /** Syncs from the beginning or after a token, without waiting. */
  sync(parameters?: Readonly<Record<string, string>>): Promise<SyncAnswer>;
  /** Syncs on until something holds of what came, and answers that. */
  syncUntil(holds: (answer: SyncAnswer) => boolean, since?: string): Promise<SyncAnswer>;
};

/** A homeserver to test over HTTP. */
export type TestHomeserver = {
  readonly url: string;
  /** The link that makes the first administrator. */
  readonly link: string;
  /** Paths begin after `/_matrix/client`, unless they begin with an underscore or a point, or are `/health`. */
  request<Said = Body>(
    method: Method,
    path: string,
    options?: RequestOptions,
  ): Promise<Answer<Said>>;
  /** Registers a user whose name begins as given. */
  registerUser(name: string, further?: object): Promise<TestUser>;
  registerGuest(): Promise<TestUser>;
  /** Registers an administrator, by the secret that the server shares with scripts. */
  registerAdministrator(name: string): Promise<TestUser>;
  /** Logs a user in once more. */
  logIn(user: TestUser, further?: object): Promise<TestUser>;
};

/** Nothing here may wait for ever. */
const REQUEST_TIMEOUT_MS = 20_000;
const START_TIMEOUT_MS = 90_000;

/** The secret of `registerAdministrator`. */
const SHARED_SECRET = "only for tests";

/** Anybody may register, guests too, passwords cost nothing to check, and nobody is told to wait. */
const OPEN = {
  ARCHIPEL_SERVER_NAME: "hs.test",
  ARCHIPEL_PUBLIC_BASE_URL: "https://matrix.hs.test",
  ARCHIPEL_SUPPORT_ADMIN_EMAIL: "admin@hs.test",
  ARCHIPEL_REGISTRATION_MODE: "open",
  ARCHIPEL_REGISTRATION_GUESTS_ALLOWED: "true",
  ARCHIPEL_REGISTRATION_SHARED_SECRET: SHARED_SECRET,
  ARCHIPEL_PASSWORDS_MIN_LENGTH: "8",
  ARCHIPEL_PASSWORDS_ARGON2_MEMORY_KIB: "8",
  ARCHIPEL_PASSWORDS_ARGON2_ITERATIONS: "1",
  ARCHIPEL_RATE_LIMITS_ENABLED: "false",
  ARCHIPEL_MEDIA_UNAUTHENTICATED_ACCESS: "true",
};

/** One PostgreSQL serves all of them: those that few tests ask for are to leave it to the others. */
const FEW_CONNECTIONS = { ARCHIPEL_DATABASE_MAX_CONNECTIONS: "3" };

/**
 * A homeserver of this run.
 *
 * @param variables what is to be otherwise than on the one that most tests share.
 */
export async function homeserver(
  variables: Readonly<Record<string, string>> = {},
): Promise<TestHomeserver> {
  const isSpecial = Object.keys(variables).length > 0;
  const started = await fetch(process.env[SHARED_HOMESERVERS] ?? "", {
    method: "POST",
    signal: AbortSignal.timeout(START_TIMEOUT_MS),
    body: JSON.stringify({ ...OPEN, ...(isSpecial && FEW_CONNECTIONS), ...variables }),
  });
  if (!started.ok) throw new Error(await started.text());
  const { url, link } = (await started.json()) as { url: string; link: string };
  return testHomeserver(url, link);
}

function testHomeserver(url: string, link: string): TestHomeserver {
  const request: TestHomeserver["request"] = async (method, path, options = {}) =>
    await requestAt(url, { method, path, ...options });
  const asUser = (login: Body, password: string) => testUser(request, login, password);
  const created = (answer: Answer) => {
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
    return answer.body;
  };
  return {
    url,
    link,
    request,
    async registerUser(name, further = {}) {
      const username = `${name}-${randomBytes(5).toString("hex")}`;
      const password = "correct horse";
      const body = { username, password, auth: { type: "m.login.dummy" }, ...further };
      return asUser(created(await request("POST", "/v3/register", { body })), password);
    },
    async registerGuest() {
      return asUser(created(await request("POST", "/v3/register?kind=guest", { body: {} })), "");
    },
    async registerAdministrator(name) {
      const username = `${name}-${randomBytes(5).toString("hex")}`;
      const password = "correct horse";
      const body = await bySharedSecret({ request }, { username, password, admin: true });
      const answer = await request("POST", "/_synapse/admin/v1/register", { body });
      return asUser(created(answer), password);
    },
    async logIn({ userId, password }, further = {}) {
      const identifier = { type: "m.id.user", user: userId };
      const body = { type: "m.login.password", identifier, password, ...further };
      return asUser(created(await request("POST", "/v3/login", { body })), password);
    },
  };
}

/** The body of a registration by the shared secret. */
export async function bySharedSecret(
  { request }: Pick<TestHomeserver, "request">,
  account: { readonly username: string; readonly password: string; readonly admin: boolean },
): Promise<Record<string, unknown>> {
  const { nonce } = (await request("GET", "/_synapse/admin/v1/register")).body;
  const { username, password, admin } = account;
  const mac = createHmac("sha1", SHARED_SECRET)
    .update([nonce, username, password, admin ? "admin" : "notadmin"].join("\0"))
    .digest("hex");
  return { nonce, ...account, mac };
}

async function requestAt<Said>(
  url: string,
  { method, path, token, body, raw, headers }: RequestOptions & { method: Method; path: string },
): Promise<Answer<Said>> {
  const whole = /^\/(?:[_.]|health)/.test(path) ? path : `/_matrix/client${path}`;
  const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const response = await fetch(url + whole, {
    method,
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
    ...(content !== undefined && { body: content }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type") === "application/json" && text !== "";
  const answer = { status: response.status, body: isJson ? JSON.parse(text) : undefined, text };
  if (isJson) {
    const faults = faultsOfAnswer({ method, path: whole, ...answer });
    expect(faults.join("; "), `by the schemas of ${method} ${whole}, ${text.slice(0, 2000)}`).toBe(
      "",
    );
  }
  return { ...answer, headers: response.headers };
}

function testUser(request: TestHomeserver["request"], login: Body, password: string): TestUser {
  const { user_id: userId, access_token: token, device_id: deviceId } = login;
  let txnId = 0;
  const call: TestUser["call"] = async (method, path, body) =>
    await request(method, path, { token, ...(body !== undefined && { body }) });
  const good = async (method: Method, path: string, body?: unknown) => {
    const answer = await call(method, path, body);
    const { status, text } = answer;
    if (status !== 200) throw new Error(`${method} ${path}: ${status} ${text}`);
    return answer.body;
  };
  const it: TestUser = {
    userId,
    localpart: userId.slice(1, userId.indexOf(":")),
    password,
    token,
    deviceId,
    login,
    call,
    createRoom: async (body = {}) => (await good("POST", "/v3/createRoom", body)).room_id,
    async send(roomId, type, content) {
      const path = `/v3/rooms/${encodeURIComponent(roomId)}/send/${type}/${(txnId += 1)}`;
      return (await good("PUT", path, content)).event_id;
    },
    sendText: async (roomId, body) =>
      await it.send(roomId, "m.room.message", { msgtype: "m.text", body }),
    sync: async (parameters = {}) =>
      await good("GET", `/v3/sync?${new URLSearchParams(parameters).toString()}`),
    async syncUntil(holds, since) {
      const until = Date.now() + 15_000;
      let answer = await it.sync(since === undefined ? {} : { since });
      while (!holds(answer)) {
        if (Date.now() > until) throw new Error(`it has not come: ${JSON.stringify(answer)}`);
        answer = await it.sync({ since: answer.next_batch, timeout: "1000" });
      }
      return answer;
    },
  };
  return it;
}

/** What a refusal is: `expect(answer).toMatchObject(refusal(403, "M_FORBIDDEN"))`. */
export function refusal(status: number, errcode: string) {
  return { status, body: { errcode, error: expect.any(String) } };
}

/** Whether an event is in a room's timeline in an answer of `/sync`. */
export function timelineHas(roomId: string, eventId: string): (answer: SyncAnswer) => boolean {
  return (answer) =>
    (answer.rooms?.join?.[roomId]?.timeline.events ?? []).some(
      (event) => event.event_id === eventId,
    );
}
