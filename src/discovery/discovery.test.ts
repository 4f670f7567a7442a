import { afterAll, beforeAll, expect, test } from "vitest";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";

let homes: TestHomeservers;
let ask: Ask;
beforeAll(async () => {
  homes = await testHomeservers(1, {
    ...LENIENT,
    ARCHIPEL_PUBLIC_BASE_URL: "https://matrix.example.org",
    ARCHIPEL_SUPPORT_ADMIN_EMAIL: "admin@example.org",
    ARCHIPEL_SUPPORT_SECURITY_EMAIL: "security@example.org",
    ARCHIPEL_ROOMS_DEFAULT_VERSION: "11",
  });
  ask = asking(homes.hs);
});
afterAll(async () => await homes.close());

type Versions = { versions: string[]; unstable_features: Record<string, unknown> };

test("versions begin where old bots begin, and go up without a hole", async () => {
  const { versions, unstable_features } = (await ask<Versions>("GET", "/_matrix/client/versions"))
    .body;
  expect(versions).toContain("r0.6.1");
  const minors = versions.flatMap((it) => /^v1\.(\d+)$/.exec(it)?.slice(1).map(Number) ?? []);
  expect(minors).toEqual(minors.map((_, index) => index + 1));
  expect(Object.values(unstable_features).every((it) => typeof it === "boolean")).toBe(true);
});

test("well-known files say what is configured", async () => {
  const client = await ask("GET", "/.well-known/matrix/client");
  expect(client.body).toEqual({ "m.homeserver": { base_url: "https://matrix.example.org" } });
  expect(client.response.headers.get("access-control-allow-origin")).toBe("*");
  expect((await ask("GET", "/.well-known/matrix/server")).body).toEqual({
    "m.server": "matrix.example.org:443",
  });
  expect((await ask("GET", "/.well-known/matrix/support")).body).toEqual({
    contacts: [
      { role: "m.role.admin", email_address: "admin@example.org" },
      { role: "m.role.security", email_address: "security@example.org" },
    ],
  });
});

test("what is not configured is not there", async () => {
  const bare = await testHomeservers(1, { ARCHIPEL_PUBLIC_BASE_URL: "http://localhost:8008" });
  const askBare = asking(bare.hs);
  for (const file of ["server", "support"]) {
    expect(await askBare("GET", `/.well-known/matrix/${file}`)).toMatchObject({
      status: 404,
      body: { errcode: "M_NOT_FOUND" },
    });
  }
  await bare.close();
});

test("capabilities are those of the user and of the configuration", async () => {
  const { access_token: token } = await registered(ask, "able");
  const { capabilities } = (await ask("GET", "capabilities", { token })).body;
  expect(capabilities).toMatchObject({
    "m.change_password": { enabled: true },
    "m.room_versions": { default: "11", available: { 1: "stable", 12: "stable" } },
    "m.profile_fields": { enabled: true },
    "m.3pid_changes": { enabled: false },
  });
  expect((await ask("GET", "capabilities")).body.errcode).toBe("M_MISSING_TOKEN");
});

test("health is the database's", async () => {
  expect(await ask("GET", "/health")).toMatchObject({ status: 200, body: { status: "ok" } });
  const dying = await testHomeservers(1);
  const askDying = asking(dying.hs);
  await dying.close();
  expect((await askDying("GET", "/health")).status).toBe(503);
});
