import pino from "pino";
import { expect, test } from "vitest";
import { asking } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { errorResponse } from "./error-response.ts";

const CREDENTIALS = {
  type: "m.login.password",
  identifier: { type: "m.id.user", user: "nobody" },
  password: "secret",
};

test("what needs the database while it is away fails as something that passes", async () => {
  const homes = await testHomeservers(1);
  await homes.close();
  const answer = await asking(homes.hs)("POST", "login", { body: CREDENTIALS });
  expect(answer).toMatchObject({ status: 503, body: { errcode: "M_UNKNOWN" } });
});

test.each([
  ["57P03", 503],
  ["53300", 503],
  ["25006", 503],
  ["08006", 503],
  ["CONNECTION_CLOSED", 503],
  ["53100", 507],
  ["ENOSPC", 507],
  ["EDQUOT", 507],
  ["42P01", 500],
  ["ENOENT", 500],
])("%s is answered with %i", (code, status) => {
  const silent = pino({ level: "silent" });
  expect(errorResponse(Object.assign(new Error("x"), { code }), silent).status).toBe(status);
});

test("a socket that is not there is answered with 503", () => {
  const error = Object.assign(new Error("x"), { code: "ENOENT", syscall: "connect" });
  expect(errorResponse(error, pino({ level: "silent" })).status).toBe(503);
});
