import { describe, expect, test } from "vitest";
import { lifetimeMs, newDelegations } from "./well-known.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const date = "Wed, 25 Nov 2026 10:00:00 GMT";
test.each<[Record<string, string>, number]>([
  [{}, 24 * HOUR],
  [{ "cache-control": "max-age=7200" }, 2 * HOUR],
  [{ "cache-control": "public, Max-Age=7200, s-maxage=1" }, 2 * HOUR],
  [{ "cache-control": "max-age=7200", age: "3600" }, HOUR],
  [{ "cache-control": "max-age=99999999" }, 48 * HOUR],
  [{ "cache-control": "max-age=0" }, 5 * MINUTE],
  [{ "cache-control": "no-store" }, 5 * MINUTE],
  [{ "cache-control": "no-cache, max-age=7200" }, 5 * MINUTE],
  [{ "cache-control": "x-max-age=1" }, 24 * HOUR],
  [{ date, expires: "Wed, 25 Nov 2026 13:00:00 GMT" }, 3 * HOUR],
  [{ date, expires: "Wed, 25 Nov 2026 09:00:00 GMT" }, 5 * MINUTE],
  [{ date, expires: "0" }, 5 * MINUTE],
])("keeps an answer with %j for %i ms", (headers, expected) => {
  expect(lifetimeMs(new Map(Object.entries(headers)))).toBe(expected);
});

/** A host that says this, at a time that a test moves. */
function hostThatSays(first: string | number) {
  const host = { says: first as string | number | Error, asked: 0, now: 1_000_000 };
  const delegations = newDelegations(
    async () => {
      host.asked++;
      const { says } = host;
      if (says instanceof Error) throw says;
      return {
        status: typeof says === "number" ? says : 200,
        headers: new Map(),
        body: Buffer.from(typeof says === "number" ? "{}" : says),
      };
    },
    () => host.now,
  );
  const delegate = async () => (await delegations.delegationOf("a.test"))?.name;
  return Object.assign(host, { delegate });
}

describe("a host", () => {
  test("delegates to whom it says, with the port that it says", async () => {
    expect(await hostThatSays('{"m.server":"b.test:5"}').delegate()).toBe("b.test:5");
    expect(await hostThatSays('{"m.server":"[::1]"}').delegate()).toBe("[::1]");
  });

  test.each([
    404,
    500,
    "",
    "<html>",
    "[]",
    "{}",
    '{"m.server":5}',
    '{"m.server":""}',
    '{"m.server":"https://b.test"}',
    '{"m.server":"b.test:0"}',
    '{"m.server":"b.test/x"}',
  ])("delegates to nobody by %j", async (says) => {
    expect(await hostThatSays(says).delegate()).toBeUndefined();
  });

  test("is asked once, by however many at once, until its answer is old", async () => {
    const host = hostThatSays('{"m.server":"b.test"}');
    await Promise.all([host.delegate(), host.delegate(), host.delegate()]);
    host.now += 24 * HOUR - 1;
    await host.delegate();
    expect(host.asked).toBe(1);
    host.now += 1;
    await host.delegate();
    expect(host.asked).toBe(2);
  });

  test("that fails is asked less and less often, but once an hour", async () => {
    const host = hostThatSays(404);
    const gaps: number[] = [];
    let last = host.now;
    for (let minute = 0; minute < 400; minute++) {
      const before = host.asked;
      await host.delegate();
      if (host.asked > before) {
        gaps.push((host.now - last) / MINUTE);
        last = host.now;
      }
      host.now += MINUTE;
    }
    expect(gaps).toEqual([0, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]);
  });

  test.each([404, 410])(
    "is taken at its word when it takes back what it said by %i",
    async (gone) => {
      const host = hostThatSays('{"m.server":"b.test"}');
      await host.delegate();
      host.says = gone;
      host.now += 25 * HOUR;
      expect(await host.delegate()).toBeUndefined();
      host.says = new Error("down");
      host.now += HOUR;
      expect(await host.delegate()).toBeUndefined();
    },
  );

  test("is taken at its last word while it is down, for two days", async () => {
    const host = hostThatSays('{"m.server":"b.test"}');
    await host.delegate();
    host.says = new Error("down");
    host.now += 25 * HOUR;
    expect(await host.delegate()).toBe("b.test");
    host.now += 23 * HOUR;
    expect(await host.delegate()).toBeUndefined();
    host.says = '{"m.server":"c.test"}';
    host.now += HOUR;
    expect(await host.delegate()).toBe("c.test");
  });
});
