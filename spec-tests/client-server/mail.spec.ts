import { afterAll, describe, expect, test } from "vitest";
import { homeserver, refusal, type TestUser } from "./client.ts";
import { mailServer } from "./mail-server.ts";

const mails = await mailServer();
afterAll(async () => await mails.close());
const hs = await homeserver({
  ARCHIPEL_MAIL_SMTP_URL: mails.url,
  ARCHIPEL_MAIL_FROM: "Archipel <noreply@hs.test>",
  ARCHIPEL_PUSH_MAIL_DELAY_MS: "3000",
});
const limited = await homeserver({
  ARCHIPEL_MAIL_SMTP_URL: mails.url,
  ARCHIPEL_MAIL_FROM: "Archipel <noreply@hs.test>",
  ARCHIPEL_RATE_LIMITS_ENABLED: "true",
  ARCHIPEL_RATE_LIMITS_THIRD_PARTY_INVITE_BURST: "2",
  ARCHIPEL_RATE_LIMITS_THIRD_PARTY_INVITE_PER_SECOND: "0.001",
});
const SET = "/v3/pushers/set";

const pusher = (address: string, its: object = {}) => ({
  kind: "email",
  app_id: "m.email",
  pushkey: address,
  app_display_name: "E-mail",
  device_display_name: address,
  lang: "en",
  data: {},
  ...its,
});
const addressOf = (user: TestUser) => `${user.localpart}@example.org`;
const mailsTo = (user: TestUser) => mails.taken.filter((it) => it.to === addressOf(user));
const list = async (user: TestUser) => (await user.call("GET", "/v3/pushers")).body.pushers;

/** The next e-mail that a user gets, when it has come. */
async function nextMail(user: TestUser, before: number): Promise<string> {
  await expect.poll(() => mailsTo(user).length, { timeout: 15_000 }).toBeGreaterThan(before);
  return mailsTo(user)[before]?.text ?? "";
}

const tokenIn = (text: string) => /_archipel\/mail\?token=([\w.-]+)/.exec(text)?.[1] ?? "";
const answer = async (token: string, wanted: string) =>
  await hs.request("POST", "/_archipel/mail", { raw: `token=${token}&wanted=${wanted}` });

/** A user who has asked for e-mails and agreed to them. */
async function mailed(name: string): Promise<TestUser> {
  const user = await hs.registerUser(name);
  expect((await user.call("POST", SET, pusher(addressOf(user)))).status).toBe(200);
  expect((await answer(tokenIn(await nextMail(user, 0)), "yes")).status).toBe(200);
  return user;
}

describe("a pusher by e-mail", () => {
  test("tells of what stays unread, all at once, and not of what is read meanwhile", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await mailed("bob")];
    const roomId = await alice.createRoom({ preset: "public_chat", name: "Harbour <1>" });
    const other = await alice.createRoom({ preset: "public_chat", name: "Quay" });
    for (const it of [roomId, other]) await bob.call("POST", `/v3/join/${it}`, {});
    const seen = await alice.sendText(other, "seen at once");
    await bob.call("POST", `/v3/rooms/${other}/receipt/m.read/${seen}`, {});
    await alice.sendText(roomId, "land ahoy");
    await alice.sendText(roomId, "wind from <north>");
    const text = await nextMail(bob, 1);
    expect(text).toContain("Harbour <1>");
    expect(text).toContain("land ahoy");
    expect(text).toContain("wind from <north>");
    expect(text).toContain("wind from &lt;north&gt;");
    expect(text).not.toContain("seen at once");
    expect(text).toContain(encodeURIComponent(roomId));
    expect(text).toMatch(/^List-Unsubscribe:\s+</m);
  });

  test("is nobody's whose address is none, or who has too many unconfirmed", async () => {
    const alice = await hs.registerUser("alice");
    const set = async (address: string, its: object = {}) =>
      await alice.call("POST", SET, pusher(address, its));
    expect(await set("nowhere")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect((await set("a@example.org", { app_id: "other" })).status).toBe(400);
    expect((await set("nobody@example.org")).status).toBe(502);
    expect(await list(alice)).toEqual([]);
    for (let n = 0; n < 3; n++) expect((await set(`${n}@example.org`)).status).toBe(200);
    expect((await set("3@example.org")).status).toBe(400);
    expect(await list(alice)).toHaveLength(3);
  });

  test("is not taken away by others who name the address", async () => {
    const [bob, mallory] = [await mailed("bob"), await hs.registerUser("mallory")];
    const own = await list(bob);
    const gateway = { url: "https://push.example.org/_matrix/push/v1/notify" };
    for (const its of [{}, { kind: "http", data: gateway }]) {
      const set = await mallory.call("POST", SET, pusher(addressOf(bob), its));
      expect(set.status).toBe(200);
      expect(await list(bob)).toEqual(own);
    }
  });

  test("is none where no e-mails are sent", async () => {
    const bare = await (await homeserver()).registerUser("bare");
    const refused = await bare.call("POST", SET, pusher("bare@example.org"));
    expect(refused).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});

test("nobody has an address written to again and again", async () => {
  const mallory = await limited.registerUser("mallory");
  const set = async () => await mallory.call("POST", SET, pusher("often@example.org"));
  for (let n = 0; n < 2; n++) expect((await set()).status).toBe(200);
  expect(await set()).toMatchObject(refusal(429, "M_LIMIT_EXCEEDED"));
  expect(mails.taken.filter((it) => it.to === "often@example.org")).toHaveLength(2);
});

describe("mailPage", () => {
  test("asks who has got the e-mail, and changes nothing", async () => {
    const alice = await hs.registerUser("alice");
    await alice.call("POST", SET, pusher(addressOf(alice)));
    const token = tokenIn(await nextMail(alice, 0));
    const page = await hs.request("GET", `/_archipel/mail?token=${token}`);
    expect(page.status).toBe(200);
    expect(page.text).toContain(addressOf(alice));
    expect(page.headers.get("referrer-policy")).toBe("no-referrer");
    const roomId = await alice.createRoom({ preset: "public_chat" });
    const bob = await mailed("bob");
    await bob.call("POST", `/v3/join/${roomId}`, {});
    await bob.sendText(roomId, "to alice");
    await alice.sendText(roomId, "to bob");
    expect(await nextMail(bob, 1)).toContain("to bob");
    expect(mailsTo(alice)).toHaveLength(1);
  });

  test("is there for no other token", async () => {
    const alice = await hs.registerUser("alice");
    await alice.call("POST", SET, pusher(addressOf(alice)));
    const token = tokenIn(await nextMail(alice, 0));
    const [key = "", proof = ""] = token.split(".");
    for (const it of ["", "x", `${key}.`, `${key}.${"x".repeat(43)}`, `${key}9.${proof}`]) {
      expect((await hs.request("GET", `/_archipel/mail?token=${it}`)).status, it).toBe(404);
      expect((await answer(it, "yes")).status, it).toBe(404);
    }
  });
});

describe("answerMail", () => {
  test("ends the e-mails of who wants no more", async () => {
    const bob = await mailed("bob");
    expect(await list(bob)).toHaveLength(1);
    const token = tokenIn(mailsTo(bob)[0]?.text ?? "");
    expect((await answer(token, "no")).status).toBe(200);
    expect(await list(bob)).toEqual([]);
    expect((await answer(token, "yes")).status).toBe(404);
  });
});
