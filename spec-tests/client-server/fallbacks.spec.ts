import { describe, expect, test } from "vitest";
import { homeserver } from "./client.ts";

const terms = [{ id: "tos", version: "1", name: "Terms & more", url: "https://hs.test/terms" }];
const hs = await homeserver({ ARCHIPEL_REGISTRATION_TERMS: JSON.stringify(terms) });

const pageOf = (stage: string) => `/v3/auth/${stage}/fallback/web`;
const complete = async (stage: string, fields: Readonly<Record<string, string>>) =>
  await hs.request("POST", pageOf(stage), { raw: new URLSearchParams(fields).toString() });
const register = async (body: object) => await hs.request("POST", "/v3/register", { body });

/** @spec client-server-api#fallback */
describe("stagePage", () => {
  test("shows what has to be agreed to, while the session goes on", async () => {
    const { session } = (await register({})).body;
    const page = await hs.request("GET", `${pageOf("m.login.terms")}?session=${session}`);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toMatch(/^text\/html/);
    expect(page.text).toContain("Terms &amp; more");
    expect((await hs.request("GET", `${pageOf("m.login.terms")}?session=none`)).status).toBe(404);
    expect((await hs.request("GET", `${pageOf("m.login.none")}?session=${session}`)).status).toBe(
      404,
    );
  });
});

describe("completeStage", () => {
  test("lets a client go on that knows only of the session", async () => {
    const { session } = (await register({})).body;
    for (const stage of ["m.login.dummy", "m.login.terms"]) {
      const done = await complete(stage, { session });
      expect(done.status).toBe(200);
      expect(done.text).toContain("onAuthDone");
    }
    const body = { username: "by-page", password: "correct horse" };
    expect((await register({ ...body, auth: { session } })).status).toBe(200);
    expect((await complete("m.login.terms", { session })).status).toBe(404);
  });

  test("completes nothing by what proves nothing", async () => {
    const alice = await hs.registerUser("alice", {
      auth: { type: "m.login.dummy", session: await agreed() },
    });
    const path = `/v3/devices/${alice.deviceId}`;
    const { session } = (await alice.call("DELETE", path, {})).body;
    const wrong = await complete("m.login.password", { session, password: "wrong" });
    expect(wrong.status).toBe(401);
    expect(wrong.text).toContain("alert");
    expect((await alice.call("DELETE", path, { auth: { session } })).status).toBe(401);
    await complete("m.login.password", { session, password: alice.password });
    expect((await alice.call("DELETE", path, { auth: { session } })).status).toBe(200);
  });
});

/** A session in which the terms have been agreed to. */
async function agreed(): Promise<string> {
  const { session } = (await register({})).body;
  await complete("m.login.terms", { session });
  return session;
}

/** @spec client-server-api#login-fallback */
describe("logInPage", () => {
  test("is a page that runs nothing but its own script", async () => {
    const page = await hs.request("GET", "/_matrix/static/client/login/");
    expect(page.status).toBe(200);
    expect(page.text).toContain("matrixLogin.onLogin");
    expect(page.headers.get("content-security-policy")).toMatch(/script-src 'sha256-/);
  });
});
