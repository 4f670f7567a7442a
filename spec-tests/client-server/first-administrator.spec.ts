import { describe, expect, test } from "vitest";
import { bySharedSecret, homeserver, refusal } from "./client.ts";

/** One that nobody else makes administrators of. */
const hs = await homeserver({ ARCHIPEL_SERVER_NAME: "alone.test" });
/** One whose address nobody has said. */
const local = await homeserver({
  ARCHIPEL_SERVER_NAME: "localhost",
  ARCHIPEL_PUBLIC_BASE_URL: "",
});
const { search } = new URL(hs.link);
const form = { "content-type": "application/x-www-form-urlencoded" };
const post = async (token: string, username: string, password: string) =>
  await hs.request("POST", "/_archipel/setup", {
    raw: new URLSearchParams({ token, username, password }).toString(),
    headers: form,
  });

describe("setupPage", () => {
  test("is there for who has the link, and for nobody else", async () => {
    const page = await hs.request("GET", `/_archipel/setup${search}`);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toContain("text/html");
    expect((await hs.request("GET", "/_archipel/setup?token=wrong")).status).toBe(403);
    expect((await hs.request("GET", "/_archipel/setup")).status).toBe(403);
  });
});

test("the link leads to a server whose port is any that was free", async () => {
  expect((await fetch(local.link)).status).toBe(200);
});

describe("createFirstAdministrator", () => {
  test("makes the administrator that the form names, once", async () => {
    const token = new URLSearchParams(search).get("token") ?? "";
    expect((await post("wrong", "mallory", "correct horse")).status).toBe(403);
    expect((await post(token, "Not A Name", "correct horse")).status).toBe(400);
    expect((await post(token, "root", "short")).status).toBe(400);
    expect((await post(token, "root", "correct horse")).status).toBe(200);
    expect((await post(token, "second", "correct horse")).status).toBe(403);
    const login = {
      type: "m.login.password",
      identifier: { type: "m.id.user", user: "root" },
      password: "correct horse",
    };
    const { access_token } = (await hs.request("POST", "/v3/login", { body: login })).body;
    const tokens = "/_synapse/admin/v1/registration_tokens";
    expect((await hs.request("GET", tokens, { token: access_token })).status).toBe(200);
  });
});

const PATH = "/_synapse/admin/v1/register";
const account = { username: "scripted", password: "correct horse", admin: false };

describe("nonceForSharedSecret", () => {
  test("gives another one to each who asks", async () => {
    const [one, two] = [await hs.request("GET", PATH), await hs.request("GET", PATH)];
    expect(one.body.nonce).not.toBe(two.body.nonce);
  });
});

describe("registerBySharedSecret", () => {
  test("makes the account that the secret has signed for, once", async () => {
    const body = await bySharedSecret(hs, account);
    expect(await hs.request("POST", PATH, { body: { ...body, admin: true } })).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
    const fresh = await bySharedSecret(hs, account);
    const made = await hs.request("POST", PATH, { body: fresh });
    expect(made).toMatchObject({ status: 200, body: { user_id: "@scripted:alone.test" } });
    const again = await hs.request("POST", PATH, { body: fresh });
    expect(again.status).toBeGreaterThanOrEqual(400);
    const token = made.body.access_token;
    const tokens = "/_synapse/admin/v1/registration_tokens";
    expect(await hs.request("GET", tokens, { token })).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });
});
