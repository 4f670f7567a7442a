import { expect } from "vitest";
import { CLIENT_ROUTES, type MountedRoute } from "../coverage/mounted-routes.ts";
import type { Answer, Method, RequestOptions, TestHomeserver } from "./client.ts";
import type { Stage } from "./stage.ts";

/** Those that are a page for people rather than an answer to a program. */
const PAGES = new Set(["stagePage", "completeStage", "logInPage"]);

/** Every route for clients. */
export const routes = CLIENT_ROUTES.filter(
  (it) => !it.path.startsWith("/_archipel/") && !PAGES.has(it.operation),
);

/** As rows of a table of tests: `%s: %s %s`. */
export const titled = (some: readonly MountedRoute[]) =>
  some.map((it) => [it.operation, it.method, it.path, it] as const);

/** All of them in CI, and every third where a test run is waited for: of tests that take seconds for what all routes share. */
export const someOf = (all: readonly MountedRoute[]) =>
  process.env["CI"] ? all : all.filter((_, index) => index % 3 === 0);

/** How one is told no. */
export const REFUSALS = [400, 401, 403, 404];

/** What a request may come to that somebody means, or that nobody can mean. */
export const CLEAR = [200, ...REFUSALS, 409, 413, 416];

/** Asks, and holds every answer against what all answers must be. */
export async function askOf(
  hs: TestHomeserver,
  method: Method,
  path: string,
  options: RequestOptions = {},
): Promise<Answer> {
  const answer = await hs.request(method, path, options);
  const what = `${method} ${path.slice(0, 300)}: ${answer.status} ${answer.text.slice(0, 300)}`;
  expect(answer.status, what).toBeLessThan(500);
  expect(answer.headers.get("access-control-allow-origin"), what).toBe("*");
  // The first answer of user-interactive authentication is a question, and has no code.
  const isClear = answer.status < 400 || (answer.body?.errcode ?? answer.body?.flows) !== undefined;
  expect(isClear || answer.status === 416, what).toBe(true);
  return answer;
}

/** All that others could see of what a user does, and the user's own devices. */
export async function observed({ user }: Stage, since: string): Promise<unknown> {
  // That one is there oneself is news, too, and comes when it likes.
  const { next_batch: _, presence: __, ...news } = await user.sync({ since });
  const devices = (await user.call("GET", "/v3/devices")).body.devices;
  const profile = (await user.call("GET", `/v3/profile/${user.userId}`)).body;
  const names = devices.map((it) => [it.device_id, it.display_name]);
  const rooms = (await user.call("GET", "/v3/joined_rooms")).body.joined_rooms;
  return { news, names, profile, rooms };
}

/** Does something of which the user must notice nothing. */
export async function changesNothing(stage: Stage, act: () => Promise<void>): Promise<void> {
  const since = (await stage.user.sync()).next_batch;
  const before = await observed(stage, since);
  await act();
  expect(await observed(stage, since)).toEqual(before);
}
