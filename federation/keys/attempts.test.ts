import { expect, test } from "vitest";
import type { ServerName } from "#src/kit/identifiers.ts";
import { newAttempts } from "./attempts.ts";

const SERVER = "keys.test" as ServerName;

test("a server that has no answer is asked again later, longer each time, up to five minutes", () => {
  const attempts = newAttempts();
  expect(attempts.mayTry(SERVER, 0)).toBe(true);
  attempts.note(SERVER, 0, false);
  expect([9_999, 10_000].map((now) => attempts.mayTry(SERVER, now))).toEqual([false, true]);
  attempts.note(SERVER, 10_000, false);
  expect([29_999, 30_000].map((now) => attempts.mayTry(SERVER, now))).toEqual([false, true]);
  for (let failures = 2; failures < 20; failures++) attempts.note(SERVER, 0, false);
  expect([299_999, 300_000].map((now) => attempts.mayTry(SERVER, now))).toEqual([false, true]);
});

test("it is asked no later since the clock is set back", () => {
  const attempts = newAttempts();
  attempts.note(SERVER, 7_200_000, false);
  expect(attempts.mayTry(SERVER, 0)).toBe(true);
});
