import { afterAll, describe, expect, test } from "vitest";
import { appOf } from "#src/app.ts";
import { LENIENT } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { checkRate } from "./rate-limit.ts";

const homes = await testHomeservers(1, {
  ...LENIENT,
  ARCHIPEL_LISTENER_TRUST_FORWARDED_FOR: "true",
  ARCHIPEL_RATE_LIMITS_ENABLED: "true",
  ARCHIPEL_RATE_LIMITS_REGISTER_BURST: "1",
  ARCHIPEL_RATE_LIMITS_REGISTER_PER_SECOND: "0.001",
});
const { hs } = homes;
afterAll(async () => await homes.close());

const limited = expect.objectContaining({ errcode: "M_LIMIT_EXCEEDED" });

describe("two addresses count as one", () => {
  const areOne = (one: string, other: string) => {
    checkRate(hs, "register", one);
    try {
      checkRate(hs, "register", other);
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
});
