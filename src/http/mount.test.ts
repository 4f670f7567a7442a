import { afterAll, expect, test } from "vitest";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";

const homes = await testHomeservers(1, LENIENT);
afterAll(async () => await homes.close());

test("who has not logged in may not have us hold as much as who has", async () => {
  const ask = asking(homes.hs);
  const token = (await registered(ask, "alice")).access_token as string;
  const body = { type: "m.login.password", password: "x".repeat(2 * 1024 * 1024) };
  const upload = "/_matrix/client/v3/keys/upload";
  expect(await ask("POST", upload, { token, body })).toMatchObject({ status: 200 });
  expect(await ask("POST", "/_matrix/client/v3/login", { body })).toMatchObject({
    status: 413,
    body: { errcode: "M_TOO_LARGE" },
  });
});

test("who sends a token where none is taken is told so", async () => {
  const ask = asking(homes.hs);
  const token = (await registered(ask, "bob")).access_token as string;
  const whoami = "/_matrix/client/v3/account/whoami";
  const error = (await ask("GET", `${whoami}?access_token=${token}`)).body["error"];
  expect(error).toBe("Missing access token: this server takes none from the query");
  expect((await ask("GET", whoami)).body["error"]).toBe("Missing access token");
});
