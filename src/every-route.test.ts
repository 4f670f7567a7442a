import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { appOf, ENDPOINTS } from "./app.ts";
import { asking, LENIENT, registered } from "./testing-http.ts";
import { testHomeservers, type TestHomeservers } from "./testing.ts";

/** What goes into a path where an identifier is due. */
const ABSURD = [
  "x",
  "@",
  "!",
  "$",
  "@a:",
  "%00",
  "!a%00b",
  "%E0%A4%A",
  "..%2f..%2fetc",
  "%F0%9F%98%80",
  "$".repeat(300),
  `@${"a".repeat(300)}:test`,
  "__proto__",
  "-1",
  "99999999999999999999",
];

/** Bodies that are no JSON, or none that any route takes. */
const BROKEN = ["{", "nonsense", '"', "\u0000", "{'a':1}", '{"a":1}}', "[1,"];

/** Bodies that are JSON, and not what is due. */
const ODD: readonly unknown[] = [
  null,
  [],
  "text",
  7,
  true,
  { auth: 5, device_id: [], content: "x", type: {}, user_id: 1, room_id: {}, messages: 4 },
  { __proto__: null, constructor: { prototype: 1 } },
  { name: "a\u0000b", topic: "\ud800", visibility: 3, invite: "everyone", preset: [] },
  { username: "\u0000", password: "\u0000", auth: { type: "m.login.dummy", session: "\u0000" } },
  { one_time_keys: [], device_keys: "x", fallback_keys: 1, timeout: -1e99, limit: 1e300 },
  { identifier: { type: "m.id.user", user: {} }, type: "m.login.password", password: 5 },
  { rooms: { x: { sessions: 5 } }, algorithm: 1, auth_data: "x" },
];

/** Query strings that no route means. */
const QUERIES = [
  "",
  "?since=%00&timeout=abc&filter=%7B&dir=q&limit=-5&from=%FF&to=x&at=x&membership=%00",
  `?since=s${"9".repeat(40)}&limit=99999999999999&filter=%7B%22room%22%3A5%7D&dir=b`,
];

let servers: TestHomeservers;
let app: ReturnType<typeof appOf>;
let token: string;
let guest: string;
let roomId: string;

beforeAll(async () => {
  servers = await testHomeservers(1, { ...LENIENT, ARCHIPEL_REGISTRATION_GUESTS_ALLOWED: "true" });
  app = appOf(servers.hs);
  const ask = asking(servers.hs);
  token = (await registered(ask, "alice")).access_token;
  guest = (await ask("POST", "register?kind=guest", { body: {} })).body.access_token;
  if (guest === undefined) throw new Error("no guest could register");
  roomId = (await ask("POST", "createRoom", { token, body: { preset: "public_chat" } })).body
    .room_id;
});
afterAll(async () => await servers.close());

type Route = { readonly operation: string; readonly method: string; readonly path: string };

// Uploads stream from a connection, which a request of this process has not: `src/media/` tests them.
const ROUTES = ENDPOINTS.filter((it) => !it.operation.startsWith("uploadContent")).flatMap((it) =>
  [it.path].flat().map((path) => ({
    ...it,
    method: it.method as string,
    path,
    // What other servers ask has its own way to say who asks.
    forUsers: it.auth === "user",
    forServers: (it.auth as string) === "server",
  })),
);
/** What ends the session that asks: asked as nobody. */
const ENDS = /logout|deactivate|delete_devices|\/devices\/|password|refresh/;

const title = ({ operation, method, path }: Route) => `${operation}: ${method} ${path}`;

/** The path with something in place of each of its parameters. */
function filled(path: string, value: string): string {
  return path.replaceAll(/:(\w+)(?:\{[^}]*\})?/g, (_, name: string) =>
    name === "roomId" && value === "x" ? encodeURIComponent(roomId) : value,
  );
}

async function call(
  { method, path }: Pick<Route, "method" | "path">,
  { as, body }: { as?: string | undefined; body?: string | undefined } = {},
) {
  const response = await app.request(path, {
    method,
    headers: as === undefined ? {} : { authorization: `Bearer ${as}` },
    ...(body !== undefined && method !== "GET" && { body }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type") === "application/json";
  const said = (isJson ? JSON.parse(text) : {}) as { errcode?: string; flows?: unknown };
  // Of a page for people, and of a first step of authentication, there is no code.
  const isClear = response.status < 400 || !isJson || (said.errcode ?? said.flows) !== undefined;
  return { status: response.status, errcode: said.errcode, isClear, headers: response.headers };
}

/** How many rows the database has that requests could have made. */
async function rows(): Promise<number> {
  const [row] = await servers.hs.sql<{ count: number }[]>`
    select (select count(*) from events) + (select count(*) from rooms)
      + (select count(*) from account_data) as count`;
  return row?.count ?? -1;
}

describe("every route", () => {
  test.each(ROUTES.filter((it) => it.forUsers).map((it) => [title(it), it] as const))(
    "asks for a token that is valid: %s",
    async (_, route) => {
      const path = filled(route.path, "x");
      expect(await call({ ...route, path })).toMatchObject({
        status: 401,
        errcode: "M_MISSING_TOKEN",
      });
      expect(await call({ ...route, path }, { as: "wrong" })).toMatchObject({
        status: 401,
        errcode: "M_UNKNOWN_TOKEN",
      });
      if (ENDS.test(route.path)) return;
      const before = await rows();
      const guestsMay = "guests" in route && route.guests === true;
      const { errcode } = await call({ ...route, path }, { as: guest, body: "{}" });
      expect(guestsMay || errcode === "M_GUEST_ACCESS_FORBIDDEN").toBe(true);
      expect(guestsMay ? before : await rows()).toBe(before);
    },
  );

  test.each(ROUTES.map((it) => [title(it), it] as const))(
    "answers what is broken with a clear refusal: %s",
    async (_, route) => {
      const as = route.forServers ? undefined : token;
      const isEnd = ENDS.test(route.path);
      const bodies = route.body ? [...BROKEN, ...ODD.map((it) => JSON.stringify(it))] : ["{}"];
      for (const value of isEnd ? ["absurd"] : ABSURD) {
        for (const query of QUERIES) {
          const { status, isClear } = await call(
            { ...route, path: filled(route.path, value) + query },
            { as: isEnd ? "wrong" : as, body: bodies[0] },
          );
          const isOurs = status >= 500;
          expect({ value, query, status, isOurs, isClear }).toMatchObject({
            isOurs: false,
            isClear: true,
          });
        }
      }
      for (const body of isEnd ? [] : bodies) {
        const path = filled(route.path, "x");
        const { status, isClear } = await call({ ...route, path }, { as, body });
        const isOurs = status >= 500;
        expect({ body, status, isOurs, isClear }).toMatchObject({ isOurs: false, isClear: true });
      }
    },
    30_000,
  );

  test.each(
    ROUTES.filter((it) => it.body && !it.forServers && !ENDS.test(it.path)).map(
      (it) => [title(it), it] as const,
    ),
  )("says that a body is no JSON: %s", async (_, route) => {
    const path = filled(route.path, "x");
    for (const body of BROKEN) {
      const answer = await call({ ...route, path }, { as: token, body });
      // A path that leads nowhere may be refused before the body is read.
      expect([400, 403, 404]).toContain(answer.status);
      if (answer.status !== 400) continue;
      expect(["M_NOT_JSON", "M_INVALID_PARAM", "M_BAD_JSON"]).toContain(answer.errcode);
    }
    const deep = `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`;
    expect((await call({ ...route, path }, { as: token, body: deep })).status).toBeLessThan(500);
    const large = JSON.stringify({ a: "x".repeat(9 * 1024 * 1024) });
    expect((await call({ ...route, path }, { as: token, body: large })).status).toBe(413);
  });

  test.each(ROUTES.map((it) => [title(it), it] as const))(
    "knows its methods, and lets every web page ask: %s",
    async (_, route) => {
      const path = filled(route.path, "x");
      expect(await call({ method: "PATCH", path })).toMatchObject({
        status: 405,
        errcode: "M_UNRECOGNIZED",
      });
      const preflight = await call({ method: "OPTIONS", path });
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
      const refused = await call({ ...route, path }, { as: "wrong" });
      // Other servers are no web pages; and the page for the first administrator need not be asked by others.
      const isForPages = !route.path.startsWith("/_archipel/") && !route.forServers;
      const origin = refused.headers.get("access-control-allow-origin");
      expect(isForPages ? origin : "*").toBe("*");
      expect(
        await call({ method: route.method, path: `${path}/no/such/path/below` }),
      ).toMatchObject({
        status: expect.toSatisfy((it: number) => it === 404 || it < 500),
      });
    },
  );

  test("has the old paths beside the new", async () => {
    for (const path of ["/_matrix/client/r0/sync", "/_matrix/client/r0/account/whoami"]) {
      expect((await call({ method: "GET", path }, { as: token })).status).toBe(200);
    }
    expect(await call({ method: "GET", path: "/_matrix/client/v3/nothing" })).toMatchObject({
      status: 404,
      errcode: "M_UNRECOGNIZED",
    });
  });
});
