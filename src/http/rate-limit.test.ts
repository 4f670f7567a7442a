import { afterAll, describe, expect, test, vi } from "vitest";
import { appOf } from "#src/app.ts";
import type { Requester } from "#src/kit/requester.ts";
import { LENIENT } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { allowanceOf, checkRate } from "./rate-limit.ts";

const homes = await testHomeservers(1, {
  ...LENIENT,
  ARCHIPEL_LISTENER_TRUST_FORWARDED_FOR: "true",
  ARCHIPEL_RATE_LIMITS_ENABLED: "true",
  ARCHIPEL_RATE_LIMITS_REGISTER_BURST: "1",
  ARCHIPEL_RATE_LIMITS_REGISTER_PER_SECOND: "0.001",
  ARCHIPEL_RATE_LIMITS_REPORT_BURST: "4",
  ARCHIPEL_RATE_LIMITS_REPORT_PER_SECOND: "0.001",
  ARCHIPEL_RATE_LIMITS_SEARCH_BURST: "1",
  ARCHIPEL_RATE_LIMITS_SEARCH_PER_SECOND: "20",
  ARCHIPEL_RATE_LIMITS_DELAYED_BURST: "1",
  ARCHIPEL_RATE_LIMITS_DELAYED_PER_SECOND: "0.001",
  ARCHIPEL_RATE_LIMITS_ADDRESS_FACTOR: "2",
});
const { hs } = homes;
afterAll(async () => await homes.close());

const limited = expect.objectContaining({ errcode: "M_LIMIT_EXCEEDED" });

describe("two addresses count as one", () => {
  const areOne = (one: string, other: string) => {
    checkRate(hs, "register", { ip: one });
    try {
      checkRate(hs, "register", { ip: other });
    } catch (error) {
      expect(error).toEqual(limited);
      return true;
    }
    return false;
  };

  test.each([
    ["192.0.2.1", "192.0.2.2", false],
    ["192.0.2.3", "::ffff:192.0.2.3", true],
    ["2001:db8:1:2::1", "2001:DB8:1:2:ffff:ffff:ffff:ffff", true],
    ["2001:db8:1:3::1", "2001:db8:1:4::1", false],
    ["2001:db8::1", "2001:db8:0:0:1:2:3:4", true],
    ["2001:db9::3:4:5:6:7", "2001:db9:0:3:1:2:3:4", true],
    ["::1", "::2", true],
  ])("%s and %s: %s", (one, other, expected) => {
    expect(areOne(one, other)).toBe(expected);
  });
});

test("behind a proxy it is the address that the proxy adds, whatever the client says before", async () => {
  const app = appOf(hs);
  const register = async (forwardedFor: string) => {
    const response = await app.request("/_matrix/client/v3/register", {
      method: "POST",
      headers: { "x-forwarded-for": forwardedFor },
      body: "{}",
    });
    return response.status;
  };
  expect(await register("198.51.100.1")).toBe(401);
  expect(await register("203.0.113.7, 198.51.100.1")).toBe(429);
  expect(await register("198.51.100.1, 198.51.100.2")).toBe(401);
  // Some proxies say the port as well.
  expect(await register("198.51.100.2:50001")).toBe(429);
  expect(await register("[2001:db8:7::1]:50001")).toBe(401);
  expect(await register("2001:db8:7::1")).toBe(429);
});

/** How many requests are let through, of more than any may make. */
function letThrough(
  at: typeof hs,
  who: (index: number) => { userId?: string; ip: string },
): number {
  for (let index = 0; index < 100; index++) {
    try {
      checkRate(at, "report", who(index));
    } catch {
      return index;
    }
  }
  return 100;
}

test("many users of one address may together do more than one, and not as much as many", () => {
  expect(letThrough(hs, () => ({ userId: "@alice:test", ip: "198.51.100.7" }))).toBe(4);
  const ip = "198.51.100.8";
  expect(letThrough(hs, (index) => ({ userId: `@user${index}:test`, ip }))).toBe(8);
});

test("each of several processes gives out its share", async () => {
  const many = await testHomeservers(2, {
    ARCHIPEL_DATABASE_MAX_CONNECTIONS: "2",
    ARCHIPEL_RATE_LIMITS_REPORT_BURST: "8",
    ARCHIPEL_RATE_LIMITS_REPORT_PER_SECOND: "0.001",
  });
  // The one that came last knows of both.
  const last = many.all.at(-1);
  expect(last && letThrough(last, () => ({ userId: "@alice:test", ip: "" }))).toBe(4);
  await many.close();
});

test("what counts for much is let through while half is left, and is made up for", () => {
  const who = { userId: "@many:hs.test", ip: "" };
  checkRate(hs, "report", who);
  checkRate(hs, "report", who, 9);
  expect(() => checkRate(hs, "report", who)).toThrow(limited);
  const others = { userId: "@few:hs.test", ip: "" };
  checkRate(hs, "report", others, 3);
  expect(() => checkRate(hs, "report", others, 2)).toThrow(limited);
  checkRate(hs, "report", others);
});

test("nobody has to wait longer since the clock is set back", async () => {
  const who = { userId: "@patient:hs.test", ip: "" };
  const { now } = hs;
  checkRate(hs, "search", who);
  expect(() => checkRate(hs, "search", who)).toThrow(limited);
  Object.assign(hs, { now: () => now() - 7_200_000 });
  await vi.waitFor(() => checkRate(hs, "search", who));
  Object.assign(hs, { now });
});

test("what is known only later counts all the same, and has to be made up for", () => {
  const userId = "@later:hs.test";
  const requester: Requester = {
    userId,
    userKey: 1,
    deviceId: "D",
    deviceKey: 1,
    isAdmin: false,
    isGuest: false,
  };
  const allowance = allowanceOf(hs, "report", { requester, ip: "" });
  allowance.require();
  allowance.count(3.5);
  expect(allowance.require).toThrow(limited);
  allowance.count(10);
  expect(() => checkRate(hs, "report", { userId, ip: "" })).toThrow(limited);
  const unlimited = { ...requester, isUnlimited: true };
  allowanceOf(hs, "report", { requester: unlimited, ip: "" }).require();
});

test("whoever guesses the IDs of delayed events is counted by their address, and by no ID", async () => {
  const app = appOf(hs);
  const cancel = async (from: string) => {
    const path = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events/guessed/cancel";
    const headers = { "x-forwarded-for": from };
    return (await app.request(path, { method: "POST", headers, body: "{}" })).status;
  };
  expect(await cancel("198.51.100.8")).toBe(404);
  expect(await cancel("198.51.100.9")).toBe(404);
  expect(await cancel("198.51.100.9")).toBe(429);
});

test("whoever tries access tokens has to wait, and those who are known go on", async () => {
  const strict = await testHomeservers(1, {
    ...LENIENT,
    ARCHIPEL_LISTENER_TRUST_FORWARDED_FOR: "true",
    ARCHIPEL_RATE_LIMITS_ENABLED: "true",
    ARCHIPEL_RATE_LIMITS_DEFAULT_BURST: "3",
    ARCHIPEL_RATE_LIMITS_DEFAULT_PER_SECOND: "0.001",
    ARCHIPEL_RATE_LIMITS_ADDRESS_FACTOR: "100",
  });
  const app = appOf(strict.hs);
  const ask = async (
    path: string,
    ip: string,
    { token = "", ...rest }: RequestInit & { readonly token?: string } = {},
  ) => {
    const headers = { "x-forwarded-for": ip, ...(token && { authorization: `Bearer ${token}` }) };
    return await app.request(`/_matrix/client/v3/${path}`, { ...rest, headers });
  };
  const [here, there] = ["198.51.100.20", "198.51.100.21"] as const;
  const body = JSON.stringify({
    username: "al",
    password: "secret",
    auth: { type: "m.login.dummy" },
  });
  const made = await ask("register", there, { method: "POST", body });
  const { access_token } = (await made.json()) as { access_token: string };
  const whoami = async (token: string, ip: string) =>
    (await ask("account/whoami", ip, { token })).status;

  expect(await whoami(access_token, here)).toBe(200);
  const tried: number[] = [];
  for (let index = 0; index < 5; index++) tried.push(await whoami(`no${index}`, here));
  expect(tried).toEqual([401, 401, 401, 429, 429]);
  expect(await whoami(access_token, here)).toBe(200);
  expect(await whoami("none", there)).toBe(401);
  await strict.close();
});
