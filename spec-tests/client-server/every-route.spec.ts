import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { homeserver, type Method, refusal, type RequestOptions } from "./client.ts";
import {
  askOf,
  changesNothing,
  CLEAR,
  observed,
  REFUSALS,
  routes,
  someOf,
  titled,
} from "./routes-stage.ts";
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

const ask = async (method: Method, path: string, options?: RequestOptions) =>
  await askOf(hs, method, path, options);

const forUsers = routes.filter((it) => it.auth === "user");

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
  test.each(titled(someOf(parametric)))(
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
