import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { accountDataEndpoints } from "#src/account-data/routes/account-data.ts";
import { tagEndpoints } from "#src/account-data/routes/tags.ts";
import { readMarkerEndpoints } from "#src/ephemeral/routes/read-markers.ts";
import { receiptEndpoints } from "#src/ephemeral/routes/receipts.ts";
import { typingEndpoints } from "#src/ephemeral/routes/typing.ts";
import { filterEndpoints } from "#src/filters/routes/filter.ts";
import { mount } from "#src/http/mount.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { pushRulesEndpoints } from "#src/push-rules/routes/pushrules.ts";
import { testHomeservers, testUser } from "#src/testing.ts";

const house = await testHomeservers();
const { hs } = house;
afterAll(async () => await house.close());

const users = new Map<string, Requester>();
const endpoints = [
  ...accountDataEndpoints,
  ...tagEndpoints,
  ...filterEndpoints,
  ...pushRulesEndpoints,
  ...receiptEndpoints,
  ...readMarkerEndpoints,
  ...typingEndpoints,
];
const app = mount(hs, endpoints, (_hs, token) => {
  const user = users.get(token);
  if (!user) throw new MatrixError("M_UNKNOWN_TOKEN", "Unknown token");
  return user;
});

let roomId = "";
beforeAll(async () => {
  for (const name of ["alice", "bob"]) users.set(name, await testUser(hs, name));
  const alice = users.get("alice") as Requester;
  roomId = encodeURIComponent(await createRoom(hs, alice, { preset: "public_chat" }));
});

const ME = "%40alice%3Atest";

async function call(
  method: string,
  path: string,
  body?: unknown,
  token: string | undefined = "alice",
): Promise<{ status: number; body: unknown }> {
  const response = await app.request(
    `http://test/_matrix/client/v3${path.replace("{room}", roomId).replace("{me}", ME)}`,
    {
      method,
      headers: token === "" ? {} : { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    },
  );
  return { status: response.status, body: await response.json() };
}

const EVERY_ROUTE = [
  ["PUT", "/user/{me}/account_data/org.example"],
  ["GET", "/user/{me}/account_data/org.example"],
  ["PUT", "/user/{me}/rooms/{room}/account_data/org.example"],
  ["GET", "/user/{me}/rooms/{room}/account_data/org.example"],
  ["GET", "/user/{me}/rooms/{room}/tags"],
  ["PUT", "/user/{me}/rooms/{room}/tags/u.x"],
  ["DELETE", "/user/{me}/rooms/{room}/tags/u.x"],
  ["POST", "/user/{me}/filter"],
  ["GET", "/user/{me}/filter/1"],
  ["GET", "/pushrules/"],
  ["GET", "/pushrules/global/"],
  ["GET", "/pushrules/global/override/.m.rule.master"],
  ["PUT", "/pushrules/global/override/mine"],
  ["DELETE", "/pushrules/global/override/mine"],
  ["GET", "/pushrules/global/override/mine/enabled"],
  ["PUT", "/pushrules/global/override/mine/enabled"],
  ["GET", "/pushrules/global/override/mine/actions"],
  ["PUT", "/pushrules/global/override/mine/actions"],
  ["POST", "/rooms/{room}/receipt/m.read/%24event"],
  ["POST", "/rooms/{room}/read_markers"],
  ["PUT", "/rooms/{room}/typing/{me}"],
] as const;

describe.each(EVERY_ROUTE)("%s %s", (method, path) => {
  test("wants a valid token", async () => {
    const body = method === "GET" || method === "DELETE" ? undefined : {};
    expect(await call(method, path, body, "")).toMatchObject({
      status: 401,
      body: { errcode: "M_MISSING_TOKEN" },
    });
    expect(await call(method, path, body, "nobody")).toMatchObject({
      status: 401,
      body: { errcode: "M_UNKNOWN_TOKEN" },
    });
  });
});

const WITH_BODY = EVERY_ROUTE.filter(([method]) => method === "PUT" || method === "POST");

test.each(WITH_BODY)("%s %s refuses what is no JSON, or no object", async (method, path) => {
  expect(await call(method, path, "{")).toMatchObject({
    status: 400,
    body: { errcode: "M_NOT_JSON" },
  });
  expect(await call(method, path, [])).toMatchObject({
    status: 400,
    body: { errcode: "M_BAD_JSON" },
  });
});

test.each(EVERY_ROUTE.filter(([, path]) => path.includes("{me}")))(
  "%s %s is not for others",
  async (method, path) => {
    const body = method === "GET" || method === "DELETE" ? undefined : { typing: true };
    expect(await call(method, path, body, "bob")).toMatchObject({
      status: 403,
      body: { errcode: "M_FORBIDDEN" },
    });
  },
);

test.each([
  ["GET", "/user/{me}/account_data/none", undefined, 404, "M_NOT_FOUND"],
  ["PUT", "/user/{me}/account_data/m.push_rules", {}, 405, "M_BAD_JSON"],
  ["PUT", "/user/{me}/rooms/{room}/account_data/m.fully_read", {}, 405, "M_BAD_JSON"],
  ["PUT", "/user/{me}/rooms/nonsense/account_data/x", {}, 400, "M_INVALID_PARAM"],
  ["PUT", "/user/{me}/account_data/a%00b", {}, 400, "M_INVALID_PARAM"],
  ["GET", "/user/{me}/account_data/a%00b", undefined, 400, "M_INVALID_PARAM"],
  ["PUT", `/user/{me}/rooms/{room}/tags/${"x".repeat(300)}`, {}, 400, "M_INVALID_PARAM"],
  ["PUT", "/user/{me}/rooms/{room}/tags/u.x", { order: {} }, 400, "M_BAD_JSON"],
  ["GET", "/user/{me}/filter/none", undefined, 404, "M_NOT_FOUND"],
  ["POST", "/user/{me}/filter", { room: { timeline: { limit: "x" } } }, 400, "M_BAD_JSON"],
  ["GET", "/pushrules/global/nonsense/x", undefined, 404, "M_NOT_FOUND"],
  ["PUT", "/pushrules/global/nonsense/x", { actions: [] }, 400, "M_INVALID_PARAM"],
  ["GET", "/pushrules/global/override/x", undefined, 404, "M_NOT_FOUND"],
  ["PUT", "/pushrules/global/override/.x", { actions: [] }, 400, "M_INVALID_PARAM"],
  ["PUT", "/pushrules/global/override/a%2Fb", { actions: [] }, 400, "M_INVALID_PARAM"],
  ["PUT", "/pushrules/global/override/x", { actions: ["nonsense"] }, 400, "M_BAD_JSON"],
  ["PUT", "/pushrules/global/override/x", { actions: [{}] }, 400, "M_BAD_JSON"],
  ["PUT", "/pushrules/global/content/x", { actions: [] }, 400, "M_MISSING_PARAM"],
  ["PUT", "/pushrules/global/room/x?before=y", { actions: [] }, 400, "M_UNKNOWN"],
  ["PUT", "/pushrules/global/override/x/enabled", { enabled: "yes" }, 400, "M_BAD_JSON"],
  ["PUT", "/pushrules/global/override/x/enabled", { enabled: true }, 404, "M_NOT_FOUND"],
  ["DELETE", "/pushrules/global/override/x", undefined, 404, "M_NOT_FOUND"],
  ["POST", "/rooms/{room}/receipt/m.other/%24event", {}, 400, "M_INVALID_PARAM"],
  ["POST", "/rooms/{room}/receipt/m.read/event", {}, 400, "M_INVALID_PARAM"],
  ["POST", "/rooms/{room}/receipt/m.read/%24event", { thread_id: "" }, 400, "M_INVALID_PARAM"],
  ["POST", "/rooms/{room}/receipt/m.read/%24event", { thread_id: 7 }, 400, "M_INVALID_PARAM"],
  [
    "POST",
    "/rooms/{room}/receipt/m.fully_read/%24e",
    { thread_id: "main" },
    400,
    "M_INVALID_PARAM",
  ],
  ["POST", "/rooms/{room}/receipt/m.read/%24event", undefined, 404, "M_NOT_FOUND"],
  ["POST", "/rooms/!none/receipt/m.read/%24event", {}, 403, "M_FORBIDDEN"],
  ["POST", "/rooms/{room}/read_markers", { "m.fully_read": 7 }, 400, "M_BAD_JSON"],
  ["POST", "/rooms/{room}/read_markers", { "m.read": "$none" }, 404, "M_NOT_FOUND"],
  ["PUT", "/rooms/{room}/typing/{me}", {}, 400, "M_BAD_JSON"],
  ["PUT", "/rooms/{room}/typing/{me}", { typing: true, timeout: -1 }, 400, "M_BAD_JSON"],
  ["PUT", "/rooms/!none/typing/{me}", { typing: true }, 403, "M_FORBIDDEN"],
])("%s %s with %j: %d %s", async (method, path, body, ...expected) => {
  const [status, errcode] = expected;
  expect(await call(method, path, body)).toMatchObject({ status, body: { errcode } });
});

test("what is set is found again", async () => {
  const { body } = await call("POST", "/user/{me}/filter", { room: {}, "org.example.x": 1 });
  const { filter_id } = body as { filter_id: string };
  expect(await call("POST", "/user/{me}/filter", { "org.example.x": 1, room: {} })).toEqual({
    status: 200,
    body: { filter_id },
  });
  expect(await call("GET", `/user/{me}/filter/${filter_id}`)).toEqual({
    status: 200,
    body: { "org.example.x": 1, room: {} },
  });

  await call("PUT", "/pushrules/global/room/%21x%3Atest", { actions: ["dont_notify"] });
  expect(await call("GET", "/pushrules/global/room/!x:test")).toEqual({
    status: 200,
    body: { rule_id: "!x:test", default: false, enabled: true, actions: ["dont_notify"] },
  });
  expect(await call("PUT", "/rooms/{room}/typing/{me}", { typing: false })).toEqual({
    status: 200,
    body: {},
  });
  await call("PUT", "/user/{me}/rooms/{room}/account_data/m.marked_unread", { unread: true });
  expect(await call("GET", "/user/{me}/rooms/{room}/account_data/m.marked_unread")).toEqual({
    status: 200,
    body: { unread: true },
  });
});
