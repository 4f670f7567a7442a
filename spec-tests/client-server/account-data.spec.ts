import { describe, expect, test } from "vitest";
import { joinedRoom, type SyncAnswer } from "../answers.ts";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const roomId = await alice.createRoom();
const user = `/v3/user/${alice.userId}`;
const room = `${user}/rooms/${encodeURIComponent(roomId)}`;
const content = { n: 1, text: "\u0000 \u{1F600}", nested: { list: [null, 1.5] } };

const PLACES = [
  {
    set: "setAccountData",
    get: "getAccountData",
    path: `${user}/account_data`,
    in: (it: SyncAnswer) => it.account_data,
  },
  {
    set: "setAccountDataPerRoom",
    get: "getAccountDataPerRoom",
    path: `${room}/account_data`,
    in: (it: SyncAnswer) => it.rooms?.join?.[roomId]?.account_data,
  },
];

/** @spec client-server-api#put_matrixclientv3useruseridaccount_datatype */
describe.each(PLACES)("$set", (place) => {
  test("keeps what a client stores, and tells the user's other clients", async () => {
    const since = (await alice.sync()).next_batch;
    const path = `${place.path}/org.example.a`;
    const plain = { n: 1, nested: { list: [null, "x"] } };
    expect(await alice.call("PUT", path, plain)).toMatchObject({ status: 200, body: {} });
    const got = await alice.syncUntil((it) => place.in(it) !== undefined, since);
    expect(place.in(got)?.events).toEqual([{ type: "org.example.a", content: plain }]);
  });

  test("is for the user alone, and not for what the server keeps itself", async () => {
    const put = async (type: string, by = alice) =>
      await by.call("PUT", `${place.path}/${type}`, {});
    expect(await put("org.example.a", bob)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await put("m.fully_read")).toMatchObject(refusal(405, "M_BAD_JSON"));
    expect(await put("m.push_rules")).toMatchObject(refusal(405, "M_BAD_JSON"));
  });
});

/** @spec client-server-api#get_matrixclientv3useruseridaccount_datatype */
describe.each(PLACES)("$get", (place) => {
  test("gives it back to the user alone", async () => {
    const path = `${place.path}/org.example.b`;
    expect(await alice.call("GET", path)).toMatchObject(refusal(404, "M_NOT_FOUND"));
    await alice.call("PUT", path, content);
    expect((await alice.call("GET", path)).body).toEqual(content);
    expect(await bob.call("GET", path)).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });
});

const DELETIONS = [
  { operation: "deleteAccountData", ...PLACES[0] },
  { operation: "deleteAccountDataPerRoom", ...PLACES[1] },
];

/** MSC3391. */
describe.each(DELETIONS)("$operation", (place) => {
  const unstable = (path: string) => path.replace("/v3/", "/unstable/org.matrix.msc3391/");

  test.each(["DELETE", "PUT"] as const)("takes it away, by %s, and tells clients", async (how) => {
    const path = `${place.path}/org.example.gone`;
    await alice.call("PUT", path, content);
    const since = (await alice.sync()).next_batch;
    const by = how === "DELETE" ? unstable(path) : path;
    const body = how === "DELETE" ? undefined : {};
    expect(await alice.call(how, by, body)).toMatchObject({ status: 200, body: {} });
    expect(await alice.call("GET", path)).toMatchObject(refusal(404, "M_NOT_FOUND"));
    const told = await alice.syncUntil((it) => place.in?.(it) !== undefined, since);
    expect(place.in?.(told)?.events).toEqual([{ type: "org.example.gone", content: {} }]);
    const types = place.in?.(await alice.sync())?.events.map((it) => it.type) ?? [];
    expect(types).not.toContain("org.example.gone");
  });

  test("is for the user alone, and not for what the server keeps itself", async () => {
    const path = unstable(place.path ?? "");
    expect(await bob.call("DELETE", `${path}/x`)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    const ours = await alice.call("DELETE", `${path}/m.push_rules`);
    expect(ours).toMatchObject(refusal(405, "M_BAD_JSON"));
  });
});

/** MSC3890. */
test("settings of a device's notifications go with the device, and no others", async () => {
  const [own, other] = [await hs.registerUser("own"), await hs.registerUser("other")];
  const path = (deviceId: string) =>
    `/v3/user/${own.userId}/account_data/org.matrix.msc3890.local_notification_settings.${deviceId}`;
  const login = await hs.request("POST", "/v3/login", {
    body: {
      type: "m.login.password",
      identifier: { type: "m.id.user", user: own.userId },
      password: own.password,
    },
  });
  const { access_token: token, device_id: deviceId } = login.body;
  for (const it of [deviceId, own.deviceId, other.deviceId]) {
    await own.call("PUT", path(it), { is_silenced: true });
  }
  await hs.request("POST", "/v3/logout", { token, body: {} });
  expect((await own.call("GET", path(deviceId))).status).toBe(404);
  for (const it of [own.deviceId, other.deviceId]) {
    expect((await own.call("GET", path(it))).body).toEqual({ is_silenced: true });
  }
});

const tags = async () => (await alice.call("GET", `${room}/tags`)).body.tags;

/** @spec client-server-api#put_matrixclientv3useruseridroomsroomidtagstag */
describe("setRoomTag", () => {
  test("tags a room, and tells the user's other clients", async () => {
    const since = (await alice.sync()).next_batch;
    const set = await alice.call("PUT", `${room}/tags/m.favourite`, { order: 0.25 });
    expect(set).toMatchObject({ status: 200, body: {} });
    const got = await alice.syncUntil((it) => roomId in (it.rooms?.join ?? {}), since);
    expect(joinedRoom(got, roomId).account_data.events).toContainEqual({
      type: "m.tag",
      content: { tags: { "m.favourite": { order: 0.25 } } },
    });
    expect(await bob.call("PUT", `${room}/tags/u.a`, {})).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
  });
});

/** @spec client-server-api#get_matrixclientv3useruseridroomsroomidtags */
describe("getRoomTags", () => {
  test("gives them back to the user alone", async () => {
    await alice.call("PUT", `${room}/tags/u.work`, {});
    expect(await tags()).toMatchObject({ "u.work": {} });
    expect(await bob.call("GET", `${room}/tags`)).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });
});

/** @spec client-server-api#delete_matrixclientv3useruseridroomsroomidtagstag */
describe("deleteRoomTag", () => {
  test("takes one away, and no other", async () => {
    for (const tag of ["u.one", "u.two"]) await alice.call("PUT", `${room}/tags/${tag}`, {});
    const gone = await alice.call("DELETE", `${room}/tags/u.one`);
    expect(gone).toMatchObject({ status: 200, body: {} });
    expect(await tags()).toHaveProperty(["u.two"]);
    expect(await tags()).not.toHaveProperty(["u.one"]);
  });
});

const FILTERS = `${user}/filter`;

/** @spec client-server-api#post_matrixclientv3useruseridfilter */
describe("defineFilter", () => {
  test("stores a filter, by which sync then goes", async () => {
    await alice.sendText(roomId, "filtered out");
    const filter = { room: { timeline: { types: ["m.room.create"] } } };
    const { filter_id } = (await alice.call("POST", FILTERS, filter)).body;
    const { timeline } = joinedRoom(await alice.sync({ filter: filter_id }), roomId);
    expect(timeline.events.every((it) => it.type === "m.room.create")).toBe(true);
  });

  test("refuses what is no filter, and another's", async () => {
    for (const bad of [
      { event_format: "x" },
      { room: 1 },
      { room: { timeline: { senders: ["x"] } } },
    ]) {
      expect(await alice.call("POST", FILTERS, bad)).toMatchObject(refusal(400, "M_BAD_JSON"));
    }
    expect(await bob.call("POST", FILTERS, {})).toMatchObject(refusal(403, "M_FORBIDDEN"));
  });
});

/** @spec client-server-api#get_matrixclientv3useruseridfilterfilterid */
describe("getFilter", () => {
  test("gives a filter back as it was, to the user alone", async () => {
    const filter = { event_fields: ["type"], "org.example.unknown": { n: 1 } };
    const { filter_id } = (await alice.call("POST", FILTERS, filter)).body;
    expect((await alice.call("GET", `${FILTERS}/${filter_id}`)).body).toEqual(filter);
    expect(await alice.call("GET", `${FILTERS}/none`)).toMatchObject(refusal(404, "M_NOT_FOUND"));
    expect(await bob.call("GET", `${FILTERS}/${filter_id}`)).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
  });
});
