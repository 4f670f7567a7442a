import { createHmac } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";

const homes = await testHomeservers(1, {
  ...LENIENT,
  ARCHIPEL_CALLS_TURN_URIS: "turn:turn.test?transport=udp, turns:turn.test",
  ARCHIPEL_CALLS_TURN_SECRET: "shared",
  ARCHIPEL_CALLS_TURN_LIFETIME_MS: "3600000",
});
afterAll(async () => await homes.close());

test("users get credentials that the TURN servers can check, and no others can make", async () => {
  const ask = asking(homes.hs);
  const { access_token: token, user_id: userId } = await registered(ask, "alice");
  const { status, body } = await ask<{ username: string }>("GET", "voip/turnServer", { token });
  expect(status).toBe(200);
  const [until, name] = body.username.split(/:(.*)/);
  expect(name).toBe(userId);
  expect(Number(until) - Date.now() / 1000).toBeGreaterThan(3_500);
  expect(body).toEqual({
    username: body.username,
    password: createHmac("sha1", "shared").update(body.username).digest("base64"),
    uris: ["turn:turn.test?transport=udp", "turns:turn.test"],
    ttl: 3_600,
  });
});
