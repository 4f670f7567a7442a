import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { present } from "../answers.ts";
import { homeserver, refusal } from "./client.ts";

/** What the bridge answers, by the path and query that it is asked. */
const answers = new Map<string, () => unknown>();
const asked: { path: string; authorization: string | undefined; body: string }[] = [];
const bridge = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (it: Buffer) => chunks.push(it));
  request.on("end", () => {
    const { url: path = "", headers } = request;
    const body = Buffer.concat(chunks).toString();
    asked.push({ path, authorization: headers.authorization, body });
    const answer = answers.get(path);
    void Promise.resolve(answer?.()).then((it) =>
      response.writeHead(answer ? 200 : 404).end(JSON.stringify(it ?? {})),
    );
  });
});
bridge.listen(0, "127.0.0.1");
await once(bridge, "listening");
const address = bridge.address();
const port = typeof address === "object" && address !== null ? address.port : 0;

const folder = mkdtempSync(join(tmpdir(), "archipel-registrations-"));
const register = (id: string, further: object) =>
  writeFileSync(
    join(folder, `${id}.yaml`),
    JSON.stringify({
      id,
      url: null,
      as_token: `as-${id}`,
      hs_token: `hs-${id}`,
      sender_localpart: `${id}bot`,
      namespaces: {},
      ...further,
    }),
  );
register("irc", {
  url: `http://127.0.0.1:${port}`,
  protocols: ["irc"],
  namespaces: {
    users: [{ exclusive: true, regex: "@irc_.*" }],
    aliases: [{ exclusive: true, regex: "#irc_.*" }],
  },
});
register("silent", {});
register("absent", { url: "http://127.0.0.1:1", protocols: ["gone"] });
const hs = await homeserver({ ARCHIPEL_APPSERVICES_DIRECTORY: folder });
const alice = await hs.registerUser("alice");
afterAll(() => {
  bridge.close();
  bridge.closeAllConnections();
  rmSync(folder, { recursive: true });
});

const PROTOCOL = {
  user_fields: ["nick"],
  location_fields: ["channel"],
  icon: "mxc://hs.test/irc",
  field_types: { nick: { regexp: ".+", placeholder: "nick" } },
  instances: [{ network_id: "libera", desc: "Libera", fields: { network: "libera" } }],
};
const THIRDPARTY = "/_matrix/app/v1/thirdparty";
const notFound = refusal(404, "M_NOT_FOUND");

test("clients that know other networks from before the specification find them and their users", async () => {
  answers.set(`${THIRDPARTY}/protocol/irc`, () => PROTOCOL);
  for (const path of ["protocols", "user/irc"]) {
    const answer = await alice.call("GET", `/v3/thirdparty/${path}`);
    expect(await alice.call("GET", `/unstable/thirdparty/${path}`)).toMatchObject({
      status: answer.status,
      body: answer.body,
    });
  }
});

/** @spec client-server-api#get_matrixclientv3thirdpartyprotocols */
describe.each(["getProtocols", "getProtocolMetadata"])("%s", (operation) => {
  test("tells of the networks that application services lead to", async () => {
    answers.set(`${THIRDPARTY}/protocol/irc`, () => PROTOCOL);
    const isOne = operation === "getProtocolMetadata";
    const { body } = await alice.call("GET", `/v3/thirdparty/protocol${isOne ? "/irc" : "s"}`);
    const irc = isOne ? body : body.irc;
    expect(irc).toMatchObject({ ...PROTOCOL, instances: [{ network_id: "libera" }] });
    expect(body.gone).toBeUndefined();
    expect(asked.at(-1)?.authorization).toBe("Bearer hs-irc");
    expect(await alice.call("GET", "/v3/thirdparty/protocol/none")).toMatchObject(notFound);
  });

  test("has all that clients expect, also of bridges that leave out what they do not use", async () => {
    const [libera] = PROTOCOL.instances;
    const instances = [{ network_id: "bare", icon: null }, { desc: "of no name" }, libera];
    answers.set(`${THIRDPARTY}/protocol/irc`, () => ({ user_fields: ["nick"], instances }));
    const isOne = operation === "getProtocolMetadata";
    const { body } = await alice.call("GET", `/v3/thirdparty/protocol${isOne ? "/irc" : "s"}`);
    expect(isOne ? body : body.irc).toEqual({
      user_fields: ["nick"],
      location_fields: [],
      icon: "",
      field_types: {},
      instances: [
        { network_id: "bare", instance_id: "irc|bare", desc: "", fields: {} },
        { ...libera, instance_id: "irc|libera" },
      ],
    });
  });
});

const SEARCHES = [
  ["queryLocationByProtocol", "location/irc?channel=%23a+b", { alias: "#irc_a:hs.test" }],
  ["queryUserByProtocol", "user/irc?nick=anne", { userid: "@irc_anne:hs.test" }],
  ["queryLocationByAlias", "location?alias=%23irc_a%3Ahs.test", { alias: "#irc_a:hs.test" }],
  ["queryUserByID", "user?userid=%40irc_anne%3Ahs.test", { userid: "@irc_anne:hs.test" }],
] as const;

/** @spec client-server-api#get_matrixclientv3thirdpartylocation */
describe.each(SEARCHES)("%s", (_, path, found) => {
  test("hands on what an application service finds, if that can be read", async () => {
    const result = { protocol: "irc", fields: { network: "libera" }, ...found };
    answers.set(`${THIRDPARTY}/${path}`, () => [result]);
    expect((await alice.call("GET", `/v3/thirdparty/${path}`)).body).toEqual([result]);
    answers.set(`${THIRDPARTY}/${path}`, () => [{ nonsense: true }, result]);
    expect((await alice.call("GET", `/v3/thirdparty/${path}`)).body).toEqual([result]);
    const [kind] = path.split(/[/?]/);
    expect(await alice.call("GET", `/v3/thirdparty/${kind}/none`)).toMatchObject(notFound);
    expect(await alice.call("GET", `/v3/thirdparty/${kind}`)).toMatchObject(
      refusal(400, "M_MISSING_PARAM"),
    );
  });
});

test("an application service is not told by whose token it is asked", async () => {
  for (const path of ["location/irc?channel=a", "user/irc?nick=a"]) {
    answers.set(`${THIRDPARTY}/${path}`, () => []);
    await alice.call("GET", `/v3/thirdparty/${path}&access_token=${alice.token}`);
    expect(asked.at(-1)?.path).toBe(`${THIRDPARTY}/${path}`);
  }
});

/** @spec client-server-api#post_matrixclientv1appserviceappserviceidping */
describe("pingAppservice", () => {
  const ping = async (id: string, token: string) =>
    await hs.request("POST", `/v1/appservice/${id}/ping`, { token, body: { transaction_id: "t" } });

  test("says how long the application service takes, or what stands in the way", async () => {
    answers.set("/_matrix/app/v1/ping", () => ({}));
    const { body, status } = await ping("irc", "as-irc");
    expect(status).toBe(200);
    expect(body.duration_ms).toBeGreaterThanOrEqual(0);
    expect(asked.at(-1)).toMatchObject({
      path: "/_matrix/app/v1/ping",
      body: '{"transaction_id":"t"}',
    });
    answers.delete("/_matrix/app/v1/ping");
    const bad = await ping("irc", "as-irc");
    expect(bad).toMatchObject(refusal(502, "M_BAD_STATUS"));
    expect(bad.body).toMatchObject({ status: 404, body: "{}" });
    expect(await ping("silent", "as-silent")).toMatchObject(refusal(400, "M_URL_NOT_SET"));
    expect(await ping("absent", "as-absent")).toMatchObject(refusal(502, "M_CONNECTION_FAILED"));
  });

  test("is for the application service itself", async () => {
    const forbidden = refusal(403, "M_FORBIDDEN");
    expect(await ping("irc", "as-silent")).toMatchObject(forbidden);
    expect(await ping("irc", alice.token)).toMatchObject(forbidden);
    expect(await ping("none", "as-irc")).toMatchObject(forbidden);
  });
});

/** @spec client-server-api#put_matrixclientv3directorylistappservicenetworkidroomid */
describe.each([
  "updateAppserviceRoomDirectoryVisibility",
  "deleteAppserviceRoomDirectoryVisibility",
])("%s", (operation) => {
  test("lists rooms for a network of the application service, or not", async () => {
    answers.set(`${THIRDPARTY}/protocol/irc`, () => PROTOCOL);
    const { body } = await alice.call<{
      instances: { instance_id: string; network_id: string }[];
    }>("GET", "/v3/thirdparty/protocol/irc");
    const { instance_id, network_id } = present(body.instances[0]);
    const roomId = await alice.createRoom();
    const path = `/v3/directory/list/appservice/${network_id}/${encodeURIComponent(roomId)}`;
    const set = async (visibility: string, token = "as-irc") =>
      await hs.request("PUT", path, { token, body: { visibility } });
    const listed = async (further: object) =>
      (await alice.call("POST", "/v3/publicRooms", further)).body.chunk.map((it) => it.room_id);
    const ofNetwork = { third_party_instance_id: instance_id };
    expect(await set("public", alice.token)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect((await set("public")).status).toBe(200);
    expect(await listed(ofNetwork)).toEqual([roomId]);
    expect(await listed({})).not.toContain(roomId);
    expect(await listed({ include_all_networks: true })).toContain(roomId);
    expect(await listed({ third_party_instance_id: "silent|libera" })).toEqual([]);
    const remove = async (token: string) =>
      operation === "updateAppserviceRoomDirectoryVisibility"
        ? await set("private", token)
        : await hs.request("DELETE", path, { token });
    expect(await remove(alice.token)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await remove("as-irc")).toMatchObject({ status: 200, body: {} });
    expect(await listed(ofNetwork)).toEqual([]);
  });
});

/** @spec application-service-api#querying */
describe("getRoomIdByAlias", () => {
  test("asks the application service for an alias that no room has yet", async () => {
    const alias = encodeURIComponent("#irc_made:hs.test");
    const path = `/v3/directory/room/${alias}`;
    expect(await alice.call("GET", path)).toMatchObject(notFound);
    answers.set(`/_matrix/app/v1/rooms/${alias}`, async () => {
      const body = { room_alias_name: "irc_made", preset: "public_chat" };
      await hs.request("POST", "/v3/createRoom", { token: "as-irc", body });
      return {};
    });
    const found = await alice.call("GET", path);
    expect(found.status).toBe(200);
    const joined = await alice.call("POST", `/v3/join/${alias}`, {});
    expect(joined.body.room_id).toBe(found.body.room_id);
  });
});

/** @spec application-service-api#querying */
describe("getUserProfile", () => {
  test("asks the application service for a user whom nobody has registered yet", async () => {
    const userId = encodeURIComponent("@irc_new:hs.test");
    expect(await alice.call("GET", `/v3/profile/${userId}`)).toMatchObject(notFound);
    const make = async (username: string) => {
      const body = { type: "m.login.application_service", username, inhibit_login: true };
      await hs.request("POST", "/v3/register", { token: "as-irc", body });
      return {};
    };
    answers.set(`/_matrix/app/v1/users/${userId}`, async () => await make("irc_new"));
    expect((await alice.call("GET", `/v3/profile/${userId}`)).status).toBe(200);
    const invited = "@irc_invited:hs.test";
    const query = `/_matrix/app/v1/users/${encodeURIComponent(invited)}`;
    answers.set(query, async () => await make("irc_invited"));
    await alice.createRoom({ invite: [invited] });
    expect(asked.filter((it) => it.path === query)).toHaveLength(1);
    const asBot = { token: "as-irc" };
    const whoami = `/v3/account/whoami?user_id=${encodeURIComponent(invited)}`;
    expect((await hs.request("GET", whoami, asBot)).status).toBe(200);
  });
});
