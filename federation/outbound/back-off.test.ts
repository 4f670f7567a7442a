import { describe, expect, test } from "vitest";
import { loadConfig } from "#src/config/load-config.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { retryWaitMs } from "./back-off.ts";

const hs = {
  config: loadConfig(
    { ARCHIPEL_SERVER_NAME: "test", ARCHIPEL_FEDERATION_PARTNERS: "friend.test,other.test" },
    [],
  ),
} as Homeserver;

function waitOf(serverName: string, failures: number, askedToWaitMs = 0, chance = 0): number {
  const failed = { serverName: serverName as ServerName, failures, askedToWaitMs };
  return retryWaitMs(hs, failed, chance);
}

describe("the wait after failures", () => {
  test("doubles up to an hour, for partners up to half a minute", () => {
    expect([1, 2, 3, 5].map((it) => waitOf("a.test", it))).toEqual([1000, 2000, 4000, 16_000]);
    expect(waitOf("a.test", 1, 0, 1)).toBe(1250);
    expect(waitOf("a.test", 60, 0, 1)).toBe(3_600_000);
    expect(waitOf("friend.test", 3)).toBe(4000);
    expect(waitOf("other.test", 60, 0, 1)).toBe(30_000);
  });

  test("is as long as the server asks for, but no longer than an hour", () => {
    expect(waitOf("friend.test", 1, 90_000)).toBe(90_000);
    expect(waitOf("a.test", 1, 2 ** 40)).toBe(3_600_000);
    expect(waitOf("a.test", 5, 10)).toBe(16_000);
  });
});
