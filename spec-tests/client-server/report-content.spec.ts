import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const roomId = await alice.createRoom({ preset: "public_chat" });
const eventId = await alice.sendText(roomId, "spam");
const notFound = refusal(404, "M_NOT_FOUND");
const reason = "this makes me sad";

/** @spec client-server-api#post_matrixclientv3roomsroomidreporteventid */
describe("reportEvent", () => {
  const report = async (path: string, body: object = { reason }) =>
    await bob.call("POST", `/v3/rooms/${path}`, body);

  test("takes reports of those who are in the room, and see the event", async () => {
    const room = await alice.createRoom({ preset: "public_chat" });
    const event = await alice.sendText(room, "spam");
    expect(await report(`${room}/report/${event}`)).toMatchObject(notFound);
    await bob.call("POST", `/v3/join/${room}`, {});
    expect(await report(`${room}/report/${event}`)).toMatchObject({ status: 200, body: {} });
    expect((await report(`${room}/report/${event}`, {})).status).toBe(200);
    expect((await report(`${room}/report/${event}`, { reason: "", score: -100 })).status).toBe(200);
    expect(await report(`${room}/report/$nothing`)).toMatchObject(notFound);
    expect(await report(`${room}/report/${eventId}`)).toMatchObject(notFound);
    await bob.call("POST", `/v3/rooms/${room}/leave`, {});
    expect(await report(`${room}/report/${event}`)).toMatchObject(notFound);
  });
});

/** @spec client-server-api#post_matrixclientv3roomsroomidreport */
describe("reportRoom", () => {
  test("takes reports of those in the room and of others", async () => {
    for (const user of [alice, bob]) {
      const answer = await user.call("POST", `/v3/rooms/${roomId}/report`, { reason });
      expect(answer).toMatchObject({ status: 200, body: {} });
    }
    const path = "/v3/rooms/!nothing:hs.test/report";
    expect(await bob.call("POST", path, { reason })).toMatchObject(notFound);
    const wrong = await bob.call("POST", `/v3/rooms/${roomId}/report`, { reason: 5 });
    expect(wrong).toMatchObject(refusal(400, "M_BAD_JSON"));
  });
});

/** @spec client-server-api#post_matrixclientv3usersuseridreport */
describe("reportUser", () => {
  test("takes reports of users whom one has never met", async () => {
    const answer = await bob.call("POST", `/v3/users/${alice.userId}/report`, { reason });
    expect(answer).toMatchObject({ status: 200, body: {} });
    const nobody = await bob.call("POST", "/v3/users/@nobody:hs.test/report", { reason });
    expect(nobody).toMatchObject(notFound);
  });
});
