import { describe, expect, test } from "vitest";
import { type Body, type ClientEvent, present } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");

const WORLD_READABLE = [
  {
    type: "m.room.history_visibility",
    state_key: "",
    content: { history_visibility: "world_readable" },
  },
];

type InitialSync = {
  readonly account_data: readonly unknown[];
  readonly end: string;
  readonly rooms: readonly (Pick<Body, "messages" | "room_id" | "state"> & {
    readonly account_data: readonly unknown[];
  })[];
};

async function events(user: TestUser, parameters: Readonly<Record<string, string>> = {}) {
  const query = new URLSearchParams(parameters).toString();
  const { status, body, text } = await user.call("GET", `/v3/events?${query}`);
  if (status !== 200) throw new Error(text);
  return body;
}

/** Reads on until something holds of an event. */
async function eventsUntil(user: TestUser, from: string, holds: (event: ClientEvent) => boolean) {
  const chunk: ClientEvent[] = [];
  for (let end = from, reads = 0; !chunk.some(holds); reads++) {
    if (reads > 20) throw new Error(`it has not come: ${JSON.stringify(chunk)}`);
    const answer = await events(user, { from: end, timeout: "1000" });
    chunk.push(...answer.chunk);
    ({ end } = answer);
  }
  return chunk;
}

/** @spec client-server-api#get_matrixclientv3events */
describe("getEvents", () => {
  test("tells what happens in one's rooms from now on, each thing once, in order", async () => {
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await bob.call("POST", `/v3/join/${roomId}`, {});
    const { end, chunk } = await events(bob);
    expect(chunk).toEqual([]);
    const sent: string[] = [];
    for (const n of [1, 2, 3]) sent.push(await alice.sendText(roomId, `${n}`));
    const answer = await events(bob, { from: end, limit: "2" });
    expect(answer).toMatchObject({ start: end });
    expect(answer.chunk.map((it) => it.event_id)).toEqual(sent.slice(0, 2));
    expect(answer.chunk[0]?.room_id).toBe(roomId);
    const rest = await events(bob, { from: answer.end });
    expect(rest.chunk.map((it) => it.event_id)).toEqual(sent.slice(2));
    expect((await events(bob, { from: rest.end })).chunk).toEqual([]);
  });

  test("waits for what comes, and no longer than it is asked to", async () => {
    const roomId = await alice.createRoom();
    const { end } = await events(alice);
    expect((await events(alice, { from: end, timeout: "20" })).chunk).toEqual([]);
    const waiting = eventsUntil(alice, end, (it) => it.content.body === "late");
    await alice.sendText(roomId, "late");
    expect((await waiting).map((it) => it.content.body)).toContain("late");
  });

  test("tells of invitations, and of leaving", async () => {
    const roomId = await alice.createRoom();
    const { end } = await events(bob);
    await alice.call("POST", `/v3/rooms/${roomId}/invite`, { user_id: bob.userId });
    const isOwn =
      (membership: string) => (it: { state_key: string; content: { membership: string } }) =>
        it.state_key === bob.userId && it.content.membership === membership;
    const [invitation] = await eventsUntil(bob, end, isOwn("invite"));
    expect(invitation).toMatchObject({ room_id: roomId, sender: alice.userId });
    await bob.call("POST", `/v3/join/${roomId}`, {});
    await bob.call("POST", `/v3/rooms/${roomId}/leave`, {});
    await alice.sendText(roomId, "behind their back");
    const chunk = await eventsUntil(bob, end, isOwn("leave"));
    expect(chunk.map((it) => it.content.body)).not.toContain("behind their back");
  });

  test.each([{ from: "nonsense" }, { timeout: "soon" }, { limit: "-2" }, { limit: "many" }])(
    "refuses %o",
    async (parameters) => {
      const query = new URLSearchParams(parameters as Record<string, string>).toString();
      const answer = await alice.call("GET", `/v3/events?${query}`);
      expect(answer).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    },
  );
});

/** @spec client-server-api#room-previews */
describe("peekEvents", () => {
  test("tells what happens in a room that the world may read to those who are not in it", async () => {
    const roomId = await alice.createRoom({ initial_state: WORLD_READABLE });
    const elsewhere = await alice.createRoom({ initial_state: WORLD_READABLE });
    const guest = await hs.registerGuest();
    for (const looker of [bob, guest]) {
      const { end } = await events(looker, { room_id: roomId });
      const waiting = events(looker, { room_id: roomId, from: end, timeout: "10000" });
      await alice.sendText(elsewhere, "elsewhere");
      const eventId = await alice.sendText(roomId, "here");
      const { chunk } = await waiting;
      expect(chunk).toMatchObject([{ event_id: eventId, room_id: roomId }]);
    }
  });

  test("tells members what happens in the one room", async () => {
    const roomId = await alice.createRoom();
    const elsewhere = await alice.createRoom();
    const { end } = await events(alice);
    await alice.sendText(elsewhere, "elsewhere");
    const eventId = await alice.sendText(roomId, "here");
    const { chunk } = await events(alice, { room_id: roomId, from: end });
    expect(chunk.map((it) => it.event_id)).toEqual([eventId]);
  });

  test("is for nobody else", async () => {
    const roomId = await alice.createRoom();
    const path = (id: string) => `/v3/events?${new URLSearchParams({ room_id: id }).toString()}`;
    const forbidden = refusal(403, "M_FORBIDDEN");
    expect(await bob.call("GET", path(roomId))).toMatchObject(forbidden);
    expect(await bob.call("GET", path("!none:hs.test"))).toMatchObject(forbidden);
    expect(await bob.call("GET", path("none"))).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});

/** @spec client-server-api#get_matrixclientv3initialsync */
describe("initialSync", () => {
  test("tells how everything stands, and from where the stream goes on", async () => {
    const carol = await hs.registerUser("carol");
    const roomId = await carol.createRoom({ name: "Quay", visibility: "public" });
    const eventIds: string[] = [];
    for (const n of [1, 2, 3]) eventIds.push(await carol.sendText(roomId, `${n}`));
    await carol.call("PUT", `/v3/user/${carol.userId}/account_data/org.example`, { n: 1 });
    const tag = `/v3/user/${carol.userId}/rooms/${roomId}/tags/u.work`;
    await carol.call("PUT", tag, { order: 0.5 });
    const invitedTo = await alice.createRoom({ invite: [carol.userId] });

    const { status, body } = await carol.call<InitialSync>("GET", "/v3/initialSync?limit=2");
    expect(status).toBe(200);
    const room = present(body.rooms.find((it) => it.room_id === roomId));
    expect(room).toMatchObject({ membership: "join", visibility: "public" });
    expect(room.messages.chunk.map((it) => it.event_id)).toEqual(eventIds.slice(1));
    expect(room.messages.chunk[0]?.room_id).toBe(roomId);
    const name = room.state.find((it) => it.type === "m.room.name");
    expect(name).toMatchObject({ room_id: roomId, content: { name: "Quay" } });
    expect(room.account_data).toContainEqual(expect.objectContaining({ type: "m.tag" }));
    expect(body.account_data).toContainEqual({ type: "org.example", content: { n: 1 } });
    const invited = body.rooms.find((it) => it.room_id === invitedTo);
    expect(invited).toMatchObject({ membership: "invite", invite: { sender: alice.userId } });

    const before = `/v3/rooms/${roomId}/messages?dir=b&limit=1&from=${room.messages.start}`;
    expect((await carol.call("GET", before)).body.chunk[0]?.event_id).toBe(eventIds[0]);
    const next = await carol.sendText(roomId, "next");
    const stream = await events(carol, { from: body.end });
    expect(stream.chunk.map((it) => it.event_id)).toContain(next);
  });

  test("tells of rooms that were left only if they are asked for, as they were then", async () => {
    const dora = await hs.registerUser("dora");
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await dora.call("POST", `/v3/join/${roomId}`, {});
    await alice.sendText(roomId, "before");
    await dora.call("POST", `/v3/rooms/${roomId}/leave`, {});
    await alice.sendText(roomId, "after");
    expect((await dora.call("GET", "/v3/initialSync")).body.rooms).toEqual([]);
    const path = "/v3/initialSync?archived=true&limit=5";
    const { rooms } = (await dora.call<InitialSync>("GET", path)).body;
    expect(rooms).toMatchObject([{ room_id: roomId, membership: "leave" }]);
    const said = rooms[0]?.messages.chunk.map((it) => it.content.body);
    expect(said).toContain("before");
    expect(said).not.toContain("after");
  });

  test("wants a limit that is a number", async () => {
    expect(await alice.call("GET", "/v3/initialSync?limit=hello")).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
  });
});
