import { afterAll, beforeAll, expect, test } from "vitest";
import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";
import type { Requester } from "#src/kit/requester.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { changeAccount } from "./accounts-stream.ts";
import type { AuthData } from "./auth-data.ts";
import { findAccount } from "./find-account.ts";
import { expireUiaSessions } from "./job-forget-expired.ts";
import { lookupToken } from "./lookup-token.ts";
import { makeRegistrationToken } from "./registration-tokens.ts";
import type { Stage } from "./uia-stages.ts";
import { requireUserInteractive } from "./user-interactive.ts";

let homes: TestHomeservers;
let hs: Homeserver;
let other: Homeserver;
let ask: Ask;
let requester: Requester;
let bob: { user_id: string };
beforeAll(async () => {
  homes = await testHomeservers(2, LENIENT);
  const [first, second] = homes.all;
  if (!first || !second) throw new RangeError("two homeservers are needed");
  hs = first;
  other = second;
  ask = asking(hs);
  const alice = await registered(ask, "alice");
  bob = await registered(ask, "bob");
  requester = await lookupToken(hs, alice.access_token, {
    operation: "sync",
    ip: "",
    query: () => new URLSearchParams(),
  });
});
afterAll(async () => await homes.close());

const BOTH: Stage[][] = [["m.login.dummy", "m.login.password"]];
const password = { type: "m.login.password", password: "secret" };

/** What is proved, or what is said of what is not. */
type Outcome = {
  readonly userKey?: number;
  readonly status?: number;
  readonly session?: string;
};

/** Tries a request, and gives what it throws. */
async function tried(
  at: Homeserver,
  auth: AuthData | undefined,
  {
    body = {},
    operation = "deleteDevice",
    flows,
  }: { body?: object; operation?: OperationId; flows?: Stage[][] } = {},
): Promise<Outcome> {
  const call = { requester, params: {}, body: { ...body, auth } };
  try {
    return await requireUserInteractive(at, call, { operation, ...(flows && { flows }) });
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error;
    return { status: error.status, ...error.toJSON() };
  }
}

test("the first answer says what is needed, and is no error to clients", async () => {
  const answer = await tried(hs, undefined);
  expect(answer).toEqual({
    status: 401,
    session: expect.any(String),
    flows: [{ stages: ["m.login.password"] }],
    params: {},
    completed: [],
  });
});

test("a session goes on in another process, and ends with its use", async () => {
  const { session } = await tried(hs, undefined, { flows: BOTH });
  const half = await tried(other, { type: "m.login.dummy", session }, { flows: BOTH });
  expect(half).toMatchObject({ status: 401, session, completed: ["m.login.dummy"] });
  expect(half).not.toHaveProperty("errcode");
  expect(await tried(hs, { ...password, session }, { flows: BOTH })).toEqual({
    userKey: requester.userKey,
  });
  const again = await tried(hs, { type: "m.login.dummy", session }, { flows: BOTH });
  expect(again.session).not.toBe(session);
});

test("a request that brings its proof needs no session", async () => {
  expect(await tried(hs, password)).toEqual({ userKey: requester.userKey });
});

test("a wrong password leaves the session open; another user's is refused", async () => {
  const { session } = await tried(hs, undefined);
  const wrong = await tried(hs, { ...password, password: "wrong", session });
  expect(wrong).toMatchObject({ status: 401, errcode: "M_FORBIDDEN", session });
  const identifier = { type: "m.id.user", user: bob.user_id };
  expect(await tried(hs, { ...password, identifier, session })).toMatchObject({ status: 403 });
  expect(await tried(hs, { ...password, session })).toEqual({ userKey: requester.userKey });
});

test("a stage that is not asked for proves nothing", async () => {
  const answer = await tried(hs, { type: "m.login.dummy" });
  expect(answer).toMatchObject({ status: 401, errcode: "M_UNRECOGNIZED" });
});

test("what is proved for one request is not proved for another", async () => {
  const flows = BOTH;
  const { session } = await tried(hs, undefined, { flows });
  const elsewhere = await tried(hs, { ...password, session }, { operation: "changePassword" });
  expect(elsewhere).toMatchObject({ status: 403, errcode: "M_FORBIDDEN" });

  // Nothing has been proved yet, so the client may still say what it wants.
  const dummy = { type: "m.login.dummy", session };
  expect(await tried(hs, dummy, { flows, body: { devices: ["A"] } })).toMatchObject({
    completed: ["m.login.dummy"],
  });
  const changed = await tried(hs, { ...password, session }, { flows, body: { devices: ["B"] } });
  expect(changed).toMatchObject({ status: 403, errcode: "M_FORBIDDEN" });
  const same = await tried(hs, { ...password, session }, { flows, body: { devices: ["A"] } });
  expect(same).toEqual({ userKey: requester.userKey });
});

test("a session that two requests finish at once serves one of them", async () => {
  const { session = "" } = await tried(hs, undefined);
  const outcomes = await Promise.all(
    [hs, other, hs, other].map(async (at) => await tried(at, { ...password, session })),
  );
  // The others either came too late for the session and began anew with their proof, or were refused.
  const rows = await hs.sql`select 1 from uia_sessions where session_id = ${session}`;
  expect(rows.length).toBe(0);
  for (const it of outcomes) {
    expect(it.userKey === requester.userKey || it.status === 403).toBe(true);
  }
});

test("a registration token is proved, and named to whoever uses it up", async () => {
  const { token } = await makeRegistrationToken(hs, { usesAllowed: 1 });
  const flows: Stage[][] = [["m.login.registration_token"]];
  const auth = { type: "m.login.registration_token" };
  expect(await tried(hs, { ...auth, token: "none" }, { flows })).toMatchObject({
    errcode: "M_UNAUTHORIZED",
  });
  expect(await tried(hs, { ...auth, token }, { flows })).toEqual({ registrationToken: token });
});

test("sessions expire", async () => {
  const { session = "" } = await tried(hs, undefined);
  await hs.sql`update uia_sessions set expires_at_ms = ${hs.now() - 1} where session_id = ${session}`;
  const answer = await tried(hs, { session });
  expect(answer.session).not.toBe(session);
  expect(await expireUiaSessions.run(hs, AbortSignal.abort())).toBe("done");
  const rows = await hs.sql`select 1 from uia_sessions where session_id = ${session}`;
  expect(rows.length).toBe(0);
});

test("what was proved a moment ago is not asked for again, where that is so, but for what matters most", async () => {
  const sessions = { ...hs.config.sessions, authenticationReuseMs: 60_000 };
  const lenient = (at: Homeserver) => ({ ...at, config: { ...at.config, sessions } });
  const [here, there] = [lenient(hs), lenient(other)];
  const asked = expect.objectContaining({ status: 401 });
  expect(await tried(here, undefined)).toEqual(asked);
  expect(await tried(here, password)).toEqual({ userKey: requester.userKey });
  expect(await tried(there, undefined, { operation: "deleteDevices" })).toEqual({});
  expect(await tried(there, undefined, { operation: "uploadCrossSigningKeys" })).toEqual({});
  for (const operation of ["generateLoginToken", "deactivateAccount", "changePassword"] as const) {
    expect(await tried(here, undefined, { operation })).toEqual(asked);
  }
  // A wrong password is no better than before.
  expect(await tried(here, { ...password, password: "other" })).toEqual(asked);
  expect(await tried(hs, undefined)).toEqual(asked);
  const later = { ...here, now: () => Date.now() + 61_000 };
  expect(await tried(later, undefined)).toEqual(asked);
  expect(await tried(here, undefined)).toEqual({});
  const { passwordHash = "" } = (await findAccount(hs, requester.userId)) ?? {};
  await changeAccount(hs, requester.userKey, { passwordHash });
  expect(await tried(here, undefined)).toEqual(asked);
});

/** Has requests of a session come so far that they have read it, and none of them has stored anything. */
async function atOnce<T>(
  session: string,
  requests: readonly (() => Promise<T>)[],
  meanwhile: (tx: Tx) => Promise<unknown> = async () => {},
): Promise<T[]> {
  const answers: Promise<T>[] = [];
  await hs.sql.begin(async (tx) => {
    await tx`select from uia_sessions where session_id = ${session} for update`;
    for (const request of requests) answers.push(request());
    const waiting = async () =>
      await hs.sql`
        select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`;
    await expect.poll(waiting).toHaveLength(requests.length);
    await meanwhile(tx);
  });
  return await Promise.all(answers);
}

test("stages that are completed at the same time all count", async () => {
  const { session = "" } = await tried(hs, undefined, { flows: BOTH });
  const outcomes = await atOnce(session, [
    async () => await tried(hs, { ...password, session }, { flows: BOTH }),
    async () => await tried(other, { type: "m.login.dummy", session }, { flows: BOTH }),
  ]);
  expect(outcomes).toContainEqual({ userKey: requester.userKey });
});

test("what a stage has proved counts though another fails at the same time", async () => {
  const { session = "" } = await tried(hs, undefined, { flows: BOTH });
  await atOnce(session, [
    async () => await tried(other, { type: "m.login.dummy", session }, { flows: BOTH }),
    async () => await tried(hs, { ...password, password: "wrong", session }, { flows: BOTH }),
  ]);
  const proved = await tried(hs, { ...password, session }, { flows: BOTH });
  expect(proved).toEqual({ userKey: requester.userKey });
});

test("a session that ends while a stage is being completed has ended", async () => {
  const { session = "" } = await tried(hs, undefined, { flows: BOTH });
  const [slow] = await atOnce(
    session,
    [async () => await tried(hs, { ...password, session }, { flows: BOTH })],
    async (tx) => await tx`delete from uia_sessions where session_id = ${session}`,
  );
  expect(slow).toMatchObject({ status: 403 });
  expect(await hs.sql`select from uia_sessions where session_id = ${session}`).toEqual([]);
});
