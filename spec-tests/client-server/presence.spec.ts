import { describe, expect, test } from "vitest";
import type { SyncAnswer } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();

/** Two who share a room. */
async function friends(): Promise<[TestUser, TestUser]> {
  const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
  const roomId = await alice.createRoom({ preset: "public_chat" });
  await bob.call("POST", `/v3/join/${roomId}`, {});
  return [alice, bob];
}

const pathOf = ({ userId }: TestUser) => `/v3/presence/${userId}/status`;

/** @spec client-server-api#put_matrixclientv3presenceuseridstatus */
describe("setPresence", () => {
  test("says where a user is, to those who share a room", async () => {
    const [alice, bob] = await friends();
    const { next_batch } = await bob.sync();
    const body = { presence: "unavailable", status_msg: "at lunch" };
    expect(await alice.call("PUT", pathOf(alice), body)).toMatchObject({ status: 200, body: {} });
    const isTold = (it: SyncAnswer) =>
      it.presence?.events.some((event) => event.sender === alice.userId) === true;
    const { presence } = await bob.syncUntil(isTold, next_batch);
    const event = presence?.events.find((it) => it.sender === alice.userId);
    expect(event).toMatchObject({ type: "m.presence", content: body });
    expect((await bob.call("GET", pathOf(alice))).body).toMatchObject(body);
  });

  test("tells one's own clients, also that one is there", async () => {
    const [alice] = await friends();
    const isTold = (it: SyncAnswer) =>
      it.presence?.events.some(
        ({ sender, content }) => sender === alice.userId && content["presence"] === "online",
      ) === true;
    expect(isTold(await alice.syncUntil(isTold))).toBe(true);
  });

  test("is for oneself", async () => {
    const [alice, bob] = await friends();
    const refused = await bob.call("PUT", pathOf(alice), { presence: "online" });
    expect(refused).toMatchObject(refusal(403, "M_FORBIDDEN"));
    const wrong = await bob.call("PUT", pathOf(bob), { presence: "asleep" });
    expect(wrong).toMatchObject(refusal(400, "M_BAD_JSON"));
  });
});

/** @spec client-server-api#get_matrixclientv3presenceuseridstatus */
describe("getPresence", () => {
  test("tells of those who sync that they are there, unless they do not want that", async () => {
    const [alice, bob] = await friends();
    await alice.sync({ set_presence: "offline" });
    expect((await bob.call("GET", pathOf(alice))).body).toMatchObject({ presence: "offline" });
    await alice.sync();
    await expect
      .poll(async () => (await bob.call("GET", pathOf(alice))).body, { timeout: 20_000 })
      .toMatchObject({ presence: "online", currently_active: true });
  });

  test("tells strangers nothing", async () => {
    const [alice] = await friends();
    const mallory = await hs.registerUser("mallory");
    expect(await mallory.call("GET", pathOf(alice))).toMatchObject(refusal(403, "M_FORBIDDEN"));
    const nobody = "/v3/presence/@nobody:hs.test/status";
    expect(await mallory.call("GET", nobody)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect((await mallory.call("GET", pathOf(mallory))).status).toBe(200);
  });
});
