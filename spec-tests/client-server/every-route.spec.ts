import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { CLIENT_ROUTES, type MountedRoute } from "../coverage/mounted-routes.ts";
import { PROCESSES } from "../shared-homeservers.ts";
import { type Answer, homeserver, type Method, refusal, type RequestOptions } from "./client.ts";
import { newStage, pathOn, type Stage, wholeBodies } from "./stage.ts";

const hs = await homeserver();

/** With access tokens that are over before they are used. */
const forgetful = await homeserver({ ARCHIPEL_SESSIONS_ACCESS_TOKEN_LIFETIME_MS: "1" });

/** What guests may do. @spec client-server-api#guest-access */
const FOR_GUESTS = new Set(
  `claimKeys defineFilter deleteProfileField forgetRoom getCapabilities getContentAuthed
  getContentOverrideNameAuthed getContentThumbnailAuthed getDevice getDevices getEventContext getFilter
  getMembersByRoom getOneRoomEvent getPushRules getRoomEvents getRoomState getRoomStateWithKey
  getRetentionConfiguration getRtcTransports
  getTokenOwner joinRoom joinRoomById leaveRoom logout logout_all queryKeys sendMessage sendMessageAnew sendToDevice
  setProfileField setRoomStateWithKey sync updateDevice uploadKeys
  getTurnServer getEvents roomInitialSync getDelayedEvent getDelayedEvents scheduleDelayedEvent slidingSync slidingSyncDeployed`.split(
    /\s+/,
  ),
);

/** For what changes nothing. */
const shared = await newStage(hs);

/** Keys that may hold anything: what is in them is between clients. */
const FREE_KEYS = new Set(["setRoomTag.order"]);

/** Those that are a page for people rather than an answer to a program. */
const PAGES = new Set(["stagePage", "completeStage", "logInPage"]);
const routes = CLIENT_ROUTES.filter(
  (it) => !it.path.startsWith("/_archipel/") && !PAGES.has(it.operation),
);
const titled = (some: readonly MountedRoute[]) =>
  some.map((it) => [it.operation, it.method, it.path, it] as const);
const forUsers = routes.filter((it) => it.auth === "user");
const withBody = routes.filter((it) => it.hasBody);

/** Asks, and holds every answer against what all answers must be. */
async function ask(method: Method, path: string, options: RequestOptions = {}): Promise<Answer> {
  const answer = await hs.request(method, path, options);
  const what = `${method} ${path.slice(0, 300)}: ${answer.status} ${answer.text.slice(0, 300)}`;
  expect(answer.status, what).toBeLessThan(500);
  expect(answer.headers.get("access-control-allow-origin"), what).toBe("*");
  // The first answer of user-interactive authentication is a question, and has no code.
  const isClear = answer.status < 400 || (answer.body?.errcode ?? answer.body?.flows) !== undefined;
  expect(isClear || answer.status === 416, what).toBe(true);
  return answer;
}

/** What a request may come to that somebody means, or that nobody can mean. */
const REFUSALS = [400, 401, 403, 404];
const CLEAR = [200, ...REFUSALS, 409, 413, 416];

/** All that others could see of what a user does, and the user's own devices. */
async function observed({ user }: Stage, since: string): Promise<unknown> {
  // That one is there oneself is news, too, and comes when it likes.
  const { next_batch: _, presence: __, ...news } = await user.sync({ since });
  const devices = (await user.call("GET", "/v3/devices")).body.devices;
  const profile = (await user.call("GET", `/v3/profile/${user.userId}`)).body;
  const names = devices.map((it) => [it.device_id, it.display_name]);
  const rooms = (await user.call("GET", "/v3/joined_rooms")).body.joined_rooms;
  return { news, names, profile, rooms };
}

/** Does something of which the user must notice nothing. */
async function changesNothing(stage: Stage, act: () => Promise<void>): Promise<void> {
  const since = (await stage.user.sync()).next_batch;
  const before = await observed(stage, since);
  await act();
  expect(await observed(stage, since)).toEqual(before);
}

describe("a route for users", () => {
  test.each(titled(forUsers))("asks %s for a token: %s %s", async (_, method, path, route) => {
    const stage = shared;
    await changesNothing(stage, async () => {
      const where = pathOn(stage, path);
      const { token } = stage.user;
      const body = route.hasBody ? (wholeBodies(stage).get(route.operation) ?? {}) : undefined;
      const given = body === undefined ? {} : { body };
      const missing = refusal(401, "M_MISSING_TOKEN");
      expect(await ask(method, where, given)).toMatchObject(missing);
      expect(await ask(method, where, { headers: { authorization: token } })).toMatchObject(
        missing,
      );
      expect(await ask(method, `${where}?access_token=${token}`, given)).toMatchObject(missing);
      for (const wrong of ["wrong", `${token}x`, token.toUpperCase(), "\u00e4".repeat(9)]) {
        const unknown = await ask(method, where, { ...given, token: wrong });
        expect(unknown).toMatchObject(refusal(401, "M_UNKNOWN_TOKEN"));
        expect(unknown.body.soft_logout ?? false).toBe(false);
      }
    });
  });

  test.each(titled(forUsers))("lets no expired token do %s: %s %s", async (_, method, path) => {
    const stage = await staleStage;
    const answer = await forgetful.request(method, pathOn(stage, path), {
      token: stage.user.token,
    });
    expect(answer).toMatchObject(refusal(401, "M_UNKNOWN_TOKEN"));
    expect(answer.body.soft_logout).toBe(true);
  });
  const staleStage = (async (): Promise<Stage> => {
    const user = await forgetful.registerUser("stale", { refresh_token: true });
    await sleep(20);
    return { ...(await newStage(hs)), user };
  })();

  test.each(titled(forUsers))("lets guests do %s or not: %s %s", async (_, method, path, route) => {
    const stage = shared;
    const guest = await hs.registerGuest();
    const body = route.hasBody ? {} : undefined;
    const answer = await ask(method, pathOn(stage, path), {
      token: guest.token,
      ...(body && { body }),
    });
    const isRefused = answer.body?.errcode === "M_GUEST_ACCESS_FORBIDDEN";
    // Of a room that takes no guests, joining is refused in the same words.
    const mayJoin = route.operation.startsWith("join");
    expect(isRefused && !mayJoin).toBe(!FOR_GUESTS.has(route.operation));
  });
});

const BROKEN = ["{", "nonsense", '"', "{'a':1}", '{"a":1}}', '{"a":}', "[1,", '{"a":01}', "\u0000"];
const NOT_UTF8 = [
  Uint8Array.of(0xff),
  Uint8Array.of(0x22, 0xc3, 0x22),
  Uint8Array.of(0xed, 0xa0, 0x80),
];

describe("a body", () => {
  test.each(titled(withBody))(
    "of %s that is no JSON is refused: %s %s",
    async (_, method, path) => {
      const stage = shared;
      const { token } = stage.user;
      await changesNothing(stage, async () => {
        for (const raw of [...BROKEN, ...NOT_UTF8]) {
          const answer = await ask(method, pathOn(stage, path), { token, raw });
          expect(answer, String(raw)).toMatchObject(refusal(400, "M_NOT_JSON"));
        }
        const deep = `${'{"a":'.repeat(9_999)}1${"}".repeat(9_999)}`;
        const answer = await ask(method, pathOn(stage, path), { token, raw: deep });
        expect(answer).toMatchObject(refusal(400, "M_BAD_JSON"));
      });
    },
  );

  test.each(titled(withBody))(
    "of %s that is no object is refused: %s %s",
    async (_, method, path) => {
      const stage = shared;
      const { token } = stage.user;
      await changesNothing(stage, async () => {
        for (const raw of ["null", "[]", "[{}]", '"text"', "7", "true"]) {
          const answer = await ask(method, pathOn(stage, path), { token, raw });
          expect(answer, raw).toMatchObject(refusal(400, "M_BAD_JSON"));
        }
      });
    },
  );

  // A balancer that is still sending may not hear the answer.
  test.runIf(PROCESSES === 1).each(titled(withBody))(
    "of %s that is too large is refused: %s %s",
    async (_, method, path) => {
      const stage = shared;
      const { token } = stage.user;
      const raw = JSON.stringify({ a: "x".repeat(9 * 1024 * 1024) });
      await changesNothing(stage, async () => {
        const answer = await ask(method, pathOn(stage, path), { token, raw });
        expect(answer).toMatchObject(refusal(413, "M_TOO_LARGE"));
      });
    },
  );

  test.each(titled(withBody))(
    "of %s may be empty, or is refused: %s %s",
    async (_, method, path) => {
      const stage = await newStage(hs);
      for (const raw of ["", " \n"]) {
        const answer = await ask(method, pathOn(stage, path), { token: stage.user.token, raw });
        expect(CLEAR).toContain(answer.status);
      }
    },
  );

  const typed = withBody.filter((it) => wholeKeys(it.operation).length > 0);
  test.each(titled(typed))(
    "of %s with a key of another type is refused: %s %s",
    async (_, method, path, route) => {
      const stage = shared;
      const whole = wholeBodies(stage).get(route.operation) ?? {};
      await changesNothing(stage, async () => {
        for (const [key, value] of Object.entries(whole)) {
          if (FREE_KEYS.has(`${route.operation}.${key}`)) continue;
          for (const other of [7.5, "text", ["x"], { x: ["y"] }, true]) {
            if (kindOf(other) === kindOf(value)) continue;
            const body = { ...whole, [key]: other };
            const answer = await ask(method, pathOn(stage, path), {
              token: stage.user.token,
              body,
            });
            const what = `${key}: ${JSON.stringify(other)}: ${answer.status} ${answer.text.slice(0, 200)}`;
            expect(answer.status, what).toBe(400);
            expect(["M_BAD_JSON", "M_INVALID_PARAM", "M_MISSING_PARAM"], what).toContain(
              answer.body.errcode,
            );
          }
        }
      });
    },
  );

  test.each(titled(typed))(
    "of %s may hold what is hard to hold: %s %s",
    async (_, method, path, route) => {
      const stage = await newStage(hs);
      const whole = wholeBodies(stage).get(route.operation) ?? {};
      const odd = [
        '"\\u0000"',
        '"a\\ud800b"',
        '"\\udfff"',
        "1e400",
        "-1e308",
        "18446744073709551616",
        "-1",
        "null",
        '""',
        `"${"x".repeat(300)}"`,
        '{"__proto__":{"x":1}}',
        '{"constructor":1,"":2}',
      ];
      for (const key of Object.keys(whole)) {
        for (const text of odd) {
          // The key twice: the last of them counts.
          const raw = `${JSON.stringify(whole).slice(0, -1)},${JSON.stringify(key)}:${text}}`;
          const answer = await ask(method, pathOn(stage, path), { token: stage.user.token, raw });
          expect(CLEAR, `${key}: ${text}`).toContain(answer.status);
        }
      }
    },
  );
});

function wholeKeys(operation: string): readonly string[] {
  return Object.keys(wholeBodies(shared).get(operation) ?? {});
}
function kindOf(value: unknown): string {
  return Array.isArray(value) ? "array" : typeof value;
}

/** What is written in a path where something else is due, as it is sent. */
const ABSURD = [
  "x",
  "%40",
  "!",
  "%24",
  "@a:",
  "%23a:",
  "%00",
  "!a%00b",
  "@a%00b:hs.test",
  "%24a%00b",
  "%E0%A4%A",
  "%ED%A0%80",
  "%FF",
  "..%2f..%2fetc%2fpasswd",
  "%F0%9F%98%80",
  "%24".repeat(300),
  `@${"a".repeat(300)}:hs.test`,
  `!${"%F0%9F%98%80".repeat(64)}:hs.test`,
  "__proto__",
  "-1",
  "99999999999999999999",
  "%20",
];

describe("a path", () => {
  const parametric = routes.filter((it) => it.path.includes(":"));
  test.each(titled(parametric))(
    "of %s with an absurd identifier is answered clearly: %s %s",
    async (_, method, path, route) => {
      const stage = await newStage(hs);
      const body = route.hasBody ? (wholeBodies(stage).get(route.operation) ?? {}) : undefined;
      const given = { token: stage.user.token, ...(body && { body }) };
      const names = [...path.matchAll(/:(\w+)/g)].map(([, name = ""]) => name);
      let accepted = 0;
      const since = (await stage.user.sync()).next_batch;
      const before = await observed(stage, since);
      for (const name of names) {
        for (const value of ABSURD) {
          const where = pathOn(stage, path, new Map([[name, value]]));
          const { status } = await ask(method, where, given);
          if (status < 400) accepted++;
          const isIdentifier = /^(?:userId|roomId|roomIdOrAlias|roomAlias|eventId)$/.test(name);
          expect(isIdentifier ? REFUSALS : CLEAR, where).toContain(status);
        }
      }
      // Names that clients choose may be as absurd as they like.
      expect(accepted > 0 ? before : await observed(stage, since)).toEqual(before);
    },
  );

  test.each(titled(routes))("of %s knows its methods: %s %s", async (_, method, path) => {
    const stage = shared;
    const where = pathOn(stage, path);
    expect(await ask("PATCH", where)).toMatchObject(refusal(405, "M_UNRECOGNIZED"));
    const others = routes.filter((it) => pathOn(stage, it.path) === where).map((it) => it.method);
    for (const other of ["GET", "PUT", "POST", "DELETE"] as const) {
      if (others.includes(other)) continue;
      // A path may be another's, whose parameter has that name.
      const { status, body } = await ask(other, where);
      const isOthers = routes.some((it) => it.method === other && matches(it.path, where));
      expect(status === 405 ? body.errcode === "M_UNRECOGNIZED" : isOthers).toBe(true);
    }
    const preflight = await ask("OPTIONS", where);
    expect([200, 204]).toContain(preflight.status);
    const allowed = preflight.headers.get("access-control-allow-methods") ?? "";
    expect(allowed.split(/, */)).toEqual(expect.arrayContaining([method, "OPTIONS"]));
    expect(preflight.headers.get("access-control-allow-headers")).toContain("Authorization");
  });

  test.each(titled(routes))("below that of %s is unknown: %s %s", async (_, method, path) => {
    const stage = shared;
    const below = `${pathOn(stage, path).replace(/\/$/, "")}/no/such/path`;
    const isKnown = routes.some((it) => it.method === method && matches(it.path, below));
    const isState = path.includes("/state");
    if (isKnown || isState) return;
    const answer = await ask(method, below, { token: stage.user.token });
    expect(answer).toMatchObject(refusal(404, "M_UNRECOGNIZED"));
  });

  const renamed = routes.filter((it) => /^\/_matrix\/(?:client|media)\/v3\//.test(it.path));
  test.each(titled(renamed))("of %s has its old name too: %s %s", async (_, method, path) => {
    const stage = shared;
    const where = pathOn(stage, path);
    const now = await ask(method, where);
    const then = await ask(method, where.replace("/v3/", "/r0/"));
    expect([then.status, then.body?.errcode]).toEqual([now.status, now.body?.errcode]);
    expect(then.status).not.toBe(405);
  });

  test.each([
    "since=%00&timeout=abc&filter=%7B&dir=q&limit=-5&from=%FF&to=x&at=x&membership=%00&version=%00",
    `since=s${"9".repeat(40)}&limit=99999999999999&filter=%7B%22room%22%3A5%7D&dir=b&from=s1_99&version=-1`,
    "filter=%7B%22room%22%3A%7B%22timeline%22%3A%7B%22limit%22%3A1e99%7D%7D%7D&dir=b&limit=1e9&timeout=-1",
    "filter=%00&username=%00&token=%00&width=-1&height=1e9&method=x&before=%00&after=%ED%A0%80&kind=%00",
    "dir=f&dir=b&full_state=maybe&use_state_after=7&set_presence=x&timeout_ms=x&format=x&filename=%00",
  ])("has no query that brings it down: ?%s", async (query) => {
    const stage = await newStage(hs);
    for (const { method, path, hasBody, operation } of routes) {
      if (/^(?:logout|logout_all|deactivate)/.test(operation)) continue;
      const where = `${pathOn(stage, path)}?${query}`;
      const given = { token: stage.user.token, ...(hasBody && { body: {} }) };
      expect(CLEAR).toContain((await ask(method, where, given)).status);
    }
  });
});

/** Whether a path could be one of a route. */
function matches(template: string, path: string): boolean {
  const pattern = template.replaceAll(".", "\\.").replaceAll(/:\w+/g, "[^/]+");
  return new RegExp(`^${pattern}$`).test(path);
}
