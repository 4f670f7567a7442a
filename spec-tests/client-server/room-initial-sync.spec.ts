import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");

/** @spec client-server-api#get_matrixclientv3roomsroomidinitialsync */
describe("roomInitialSync", () => {
  test("tells a member how a room stands, and where to read on", async () => {
    const roomId = await alice.createRoom({ name: "Harbour", preset: "private_chat" });
    for (const n of [1, 2, 3]) await alice.sendText(roomId, `${n}`);
    const path = `/v3/user/${alice.userId}/rooms/${roomId}/account_data/org.example`;
    await alice.call("PUT", path, { n: 1 });
    const { status, body } = await alice.call("GET", `/v3/rooms/${roomId}/initialSync?limit=2`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ room_id: roomId, membership: "join", visibility: "private" });
    expect(body.messages.chunk.map((it) => it.content.body)).toEqual(["2", "3"]);
    expect(body.state.map((it) => it.type)).toContain("m.room.name");
    expect(body.account_data).toEqual([{ type: "org.example", content: { n: 1 } }]);
    const before = `/v3/rooms/${roomId}/messages?dir=b&limit=1&from=${body.messages.start}`;
    const older = (await alice.call("GET", before)).body.chunk;
    expect(older[0]?.content.body).toBe("1");
  });

  test("lets anybody look into a room that the world may read, and nobody else into another", async () => {
    const initial_state = [
      {
        type: "m.room.history_visibility",
        state_key: "",
        content: { history_visibility: "world_readable" },
      },
    ];
    const open = await alice.createRoom({ initial_state });
    await alice.sendText(open, "hello");
    const { body } = await bob.call("GET", `/v3/rooms/${open}/initialSync`);
    expect(body.messages.chunk.at(-1)?.content.body).toBe("hello");
    expect(body.membership).toBeUndefined();
    const closed = await alice.createRoom();
    expect(await bob.call("GET", `/v3/rooms/${closed}/initialSync`)).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
  });

  test("wants a limit that is a number", async () => {
    const roomId = await alice.createRoom();
    expect(await alice.call("GET", `/v3/rooms/${roomId}/initialSync?limit=x`)).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
  });
});

/** @spec client-server-api#get_matrixclientv3eventseventid */
describe("getOneEvent", () => {
  test("gives an event to those who may see it", async () => {
    const roomId = await alice.createRoom();
    const eventId = await alice.sendText(roomId, "here");
    const path = `/v3/events/${encodeURIComponent(eventId)}`;
    const { body } = await alice.call("GET", path);
    expect(body).toMatchObject({ event_id: eventId, room_id: roomId });
    expect(await bob.call("GET", path)).toMatchObject(refusal(404, "M_NOT_FOUND"));
    expect(await bob.call("GET", "/v3/events/$none")).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});
