import { describe, expect, test } from "vitest";
import { alice, as, AS_TOKEN, asBridge, hs, newUser } from "./appservice-stage.ts";
import { refusal } from "./client.ts";

/** @spec application-service-api#server-admin-style-permissions */
describe("register", () => {
  const type = "m.login.application_service";

  test("makes users of the application service, without asking, and logs them in only if it wants", async () => {
    await newUser();
    const body = { type, username: "_bridge_loud" };
    // As libraries of bridges do, in the name of the user that is to be.
    const path = `/v3/register?${as("@_bridge_loud:hs.test")}`;
    const made = await asBridge("POST", path, body);
    expect(made.body).toMatchObject({ user_id: "@_bridge_loud:hs.test" });
    const { access_token: token } = made.body;
    expect((await hs.request("GET", "/v3/account/whoami", { token })).status).toBe(200);
    expect(await asBridge("POST", "/v3/register", body)).toMatchObject(
      refusal(400, "M_USER_IN_USE"),
    );
  });

  test("keeps names for the application service that they are of", async () => {
    const exclusive = refusal(400, "M_EXCLUSIVE");
    for (const username of ["free", "_other_1", "otherbot"]) {
      const body = { type, username, inhibit_login: true };
      expect(await asBridge("POST", "/v3/register", body)).toMatchObject(exclusive);
    }
    for (const username of ["_bridge_x", "bridgebot", "_BRIDGE_X"]) {
      const body = { username, password: "correct horse", auth: { type: "m.login.dummy" } };
      expect(await hs.request("POST", "/v3/register", { body })).toMatchObject(exclusive);
      const path = `/v3/register/available?username=${username}`;
      expect(await hs.request("GET", path)).toMatchObject(exclusive);
    }
  });

  test("is of this type only for application services", async () => {
    const body = { type, username: "_bridge_y", inhibit_login: true };
    const { token } = alice;
    expect(await hs.request("POST", "/v3/register", { body })).toMatchObject(
      refusal(401, "M_MISSING_TOKEN"),
    );
    for (const shown of [token, "nonsense"]) {
      expect(await hs.request("POST", "/v3/register", { token: shown, body })).toMatchObject(
        refusal(403, "M_FORBIDDEN"),
      );
    }
  });
});

/** @spec client-server-api#appservice-login */
describe("login", () => {
  const logIn = async (user: string, token?: string) =>
    await hs.request("POST", "/v3/login", {
      token,
      body: { type: "m.login.application_service", identifier: { type: "m.id.user", user } },
    });

  test("lets an application service in as one of its users, and as no other", async () => {
    const userId = await newUser();
    expect((await logIn(userId, AS_TOKEN)).body).toMatchObject({ user_id: userId });
    expect((await logIn("bridgebot", AS_TOKEN)).body).toMatchObject({
      user_id: "@bridgebot:hs.test",
    });
    expect(await logIn(alice.userId, AS_TOKEN)).toMatchObject(refusal(400, "M_EXCLUSIVE"));
    expect(await logIn("_bridge_nobody", AS_TOKEN)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await logIn(userId, alice.token)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await logIn(userId)).toMatchObject(refusal(401, "M_MISSING_TOKEN"));
    const { flows } = (await hs.request("GET", "/v3/login")).body;
    expect(flows).toContainEqual({ type: "m.login.application_service" });
  });
});

/** @spec application-service-api#identity-assertion */
describe("getTokenOwner", () => {
  test("says whom an application service speaks for, on which device", async () => {
    const userId = await newUser();
    const whoami = async (query: string) => await asBridge("GET", `/v3/account/whoami${query}`);
    expect((await whoami("")).body).toEqual({ user_id: "@bridgebot:hs.test", is_guest: false });
    expect((await whoami(`?${as(userId)}`)).body).toEqual({ user_id: userId, is_guest: false });
    const unknown = await whoami(`?${as(userId, "&device_id=ABSENT")}`);
    expect(unknown).toMatchObject(refusal(400, "M_UNKNOWN_DEVICE"));
    await asBridge("PUT", `/v3/devices/MINE?${as(userId)}`, {});
    for (const name of ["device_id", "org.matrix.msc3202.device_id"]) {
      expect((await whoami(`?${as(userId, `&${name}=MINE`)}`)).body.device_id).toBe("MINE");
    }
    const forbidden = refusal(403, "M_FORBIDDEN");
    const others = [
      alice.userId,
      "@_bridge_none:hs.test",
      "@_bridge_1:elsewhere",
      "@otherbot:hs.test",
    ];
    for (const other of others) expect(await whoami(`?${as(other)}`)).toMatchObject(forbidden);
    expect(await whoami("?user_id=nonsense")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });

  test("lets an application service speak for users that others have made in its space", async () => {
    const body = {
      username: "shared-1",
      password: "correct horse",
      auth: { type: "m.login.dummy" },
    };
    const { user_id: userId } = (await hs.request("POST", "/v3/register", { body })).body;
    expect((await asBridge("GET", `/v3/account/whoami?${as(userId)}`)).body.user_id).toBe(userId);
  });

  test("lets nobody else say whom they speak for", async () => {
    const { body } = await alice.call("GET", `/v3/account/whoami?${as("@bridgebot:hs.test")}`);
    expect(body.user_id).toBe(alice.userId);
  });
});

/** @spec application-service-api#timestamp-massaging */
describe("sendMessage", () => {
  test("is sent when an application service says, and by nobody else", async () => {
    const userId = await newUser();
    const room = await asBridge("POST", `/v3/createRoom?${as(userId)}`, { preset: "public_chat" });
    const roomId = room.body.room_id;
    await alice.call("POST", `/v3/rooms/${encodeURIComponent(roomId)}/join`, {});
    const send = `/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/1`;
    const content = { msgtype: "m.text", body: "long ago" };
    const path = `${send}?${as(userId, "&ts=1234567890")}`;
    const { event_id } = (await asBridge("PUT", path, content)).body;
    // The same request does nothing more, on whatever device or on none.
    expect((await asBridge("PUT", path, content)).body.event_id).toBe(event_id);
    const own = (await alice.call("PUT", `${send}?ts=1234567890`, content)).body.event_id;
    const timeOf = async (id: string) => {
      const at = `/v3/rooms/${encodeURIComponent(roomId)}/event/${encodeURIComponent(id)}`;
      return (await alice.call("GET", at)).body.origin_server_ts;
    };
    expect(await timeOf(event_id)).toBe(1_234_567_890);
    expect(await timeOf(own)).toBeGreaterThan(1_600_000_000_000);
    const state = `/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.topic/?${as(userId, "&ts=7")}`;
    const topic = await asBridge("PUT", state, { topic: "old" });
    expect(await timeOf(topic.body.event_id)).toBe(7);
    expect(await asBridge("PUT", `${send}2?${as(userId, "&ts=x")}`, content)).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
  });

  test("so is every change of what a user is in a room, which is state", async () => {
    const userId = await newUser();
    const roomId = await alice.createRoom({ preset: "public_chat" });
    for (const [index, membership] of ["join", "leave"].entries()) {
      const path = `/v3/rooms/${encodeURIComponent(roomId)}/state/m.room.member/${encodeURIComponent(userId)}`;
      const query = as(userId, `&ts=${index + 1}`);
      const { event_id } = (await asBridge("PUT", `${path}?${query}`, { membership })).body;
      const at = `/v3/rooms/${encodeURIComponent(roomId)}/event/${encodeURIComponent(event_id)}`;
      expect((await alice.call("GET", at)).body).toMatchObject({
        content: { membership },
        origin_server_ts: index + 1,
      });
    }
  });
});

describe("getEventByTimestamp", () => {
  test("answers, of those sent at one time, with the one that comes first in the direction", async () => {
    const userId = await newUser();
    const made = await asBridge("POST", `/v3/createRoom?${as(userId)}`, {});
    const room = encodeURIComponent(made.body.room_id);
    const ts = Date.now() + 60_000;
    const ids: string[] = [];
    for (const txnId of ["1", "2", "3"]) {
      const path = `/v3/rooms/${room}/send/m.room.message/${txnId}?${as(userId, `&ts=${ts}`)}`;
      ids.push((await asBridge("PUT", path, { msgtype: "m.text", body: txnId })).body.event_id);
    }
    const find = async (dir: string) => {
      const query = as(userId, `&ts=${ts}&dir=${dir}`);
      const path = `/v1/rooms/${room}/timestamp_to_event?${query}`;
      return (await asBridge("GET", path)).body.event_id as string;
    };
    expect([await find("f"), await find("b")]).toEqual([ids[0], ids[2]]);
  });
});

/** @spec application-service-api#server-admin-style-permissions */
describe("setRoomAlias", () => {
  test("keeps aliases for the application service that they are of", async () => {
    const userId = await newUser();
    const room = await asBridge("POST", `/v3/createRoom?${as(userId)}`, {});
    const path = `/v3/directory/room/${encodeURIComponent("#_bridge_room:hs.test")}`;
    const mine = await alice.createRoom();
    const exclusive = refusal(400, "M_EXCLUSIVE");
    expect(await alice.call("PUT", path, { room_id: mine })).toMatchObject(exclusive);
    const named = { room_alias_name: "_bridge_mine" };
    expect(await alice.call("POST", "/v3/createRoom", named)).toMatchObject(exclusive);
    const body = { room_id: room.body.room_id };
    expect((await asBridge("PUT", `${path}?${as(userId)}`, body)).status).toBe(200);
    // Also of rooms that none of its users are in.
    const other = path.replace("room%3Ahs", "other%3Ahs");
    expect(await asBridge("PUT", other, { room_id: mine })).toMatchObject({ status: 200 });
  });
});

/** @spec client-server-api#get_matrixclientv1mutual_rooms */
test("an application service asks with whom its own user shares rooms, also of users that are its own", async () => {
  const ghost = await newUser();
  const body = { preset: "public_chat" };
  const roomId = (await asBridge("POST", "/v3/createRoom", body)).body.room_id;
  await alice.call("POST", `/v3/join/${roomId}`, {});
  await asBridge("POST", `/v3/join/${roomId}?${as(ghost)}`, {});
  for (const userId of [ghost, alice.userId]) {
    expect(await asBridge("GET", `/v1/mutual_rooms?${as(userId)}`)).toMatchObject({
      status: 200,
      body: { joined: [roomId], count: 1 },
    });
  }
});
