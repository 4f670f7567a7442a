import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();

/** @spec client-server-api#get_matrixclientversions */
describe("getVersions", () => {
  test("names versions to anybody, without a token and with a bad one", async () => {
    for (const token of [undefined, "wrong"]) {
      const { status, body } = await hs.request("GET", "/versions", { token });
      expect(status).toBe(200);
      expect(body.versions).toContain("v1.11");
    }
  });
});

/** @spec client-server-api#get.wellknownmatrixclient */
describe("getWellknown", () => {
  test("says where clients find the server", async () => {
    const { status, body } = await hs.request("GET", "/.well-known/matrix/client");
    expect(status).toBe(200);
    expect(body["m.homeserver"]).toEqual({ base_url: "https://matrix.hs.test" });
  });
});

describe("getWellKnown", () => {
  test("says where other servers find it", async () => {
    const { status, body } = await hs.request("GET", "/.well-known/matrix/server");
    expect(status).toBe(200);
    expect(body).toEqual({ "m.server": "matrix.hs.test:443" });
  });
});

/** @spec client-server-api#get.wellknownmatrixsupport */
describe("getWellknownSupport", () => {
  test("says whom to turn to", async () => {
    const { status, body } = await hs.request("GET", "/.well-known/matrix/support");
    expect(status).toBe(200);
    expect(body.contacts).toEqual([{ role: "m.role.admin", email_address: "admin@hs.test" }]);
  });
});

/** @spec client-server-api#get_matrixclientv3capabilities */
describe("getCapabilities", () => {
  test("names room versions, and the one of new rooms", async () => {
    const alice = await hs.registerUser("alice");
    const { status, body } = await alice.call("GET", "/v3/capabilities");
    expect(status).toBe(200);
    const versions = body.capabilities["m.room_versions"];
    expect(Object.keys(versions?.["available"] ?? {})).toHaveLength(12);
    const roomId = await alice.createRoom();
    const create = await alice.call("GET", `/v3/rooms/${roomId}/state/m.room.create/`);
    expect(create.body.room_version).toBe(versions?.["default"]);
  });

  test("tells administrators alone that they may moderate accounts", async () => {
    const admin = await hs.registerAdministrator("admin");
    const capable = await admin.call("GET", "/v3/capabilities");
    expect(capable.body.capabilities["m.account_moderation"]).toEqual({
      suspend: true,
      lock: true,
    });
    const alice = await hs.registerUser("alice");
    const other = (await alice.call("GET", "/v3/capabilities")).body.capabilities;
    expect(other["m.account_moderation"]).toBeUndefined();
    expect(other["m.change_password"]).toEqual({ enabled: true });
  });
});

describe("health", () => {
  test("is well", async () => {
    expect(await hs.request("GET", "/health")).toMatchObject({
      status: 200,
      body: { status: "ok" },
    });
  });
});

test("a path that there is not is answered with M_UNRECOGNIZED", async () => {
  expect(await hs.request("GET", "/v3/nothing")).toMatchObject(refusal(404, "M_UNRECOGNIZED"));
});

/** MSC4143. */
describe("getRtcTransports", () => {
  test("says by what clients call each other, as the well-known file does", async () => {
    const url = "https://calls.hs.test";
    const calling = await homeserver({ ARCHIPEL_CALLS_LIVEKIT_SERVICE_URL: url });
    const transports = [{ type: "livekit", livekit_service_url: url }];
    const path = "/unstable/org.matrix.msc4143/rtc/transports";
    const answer = await (await calling.registerUser("caller")).call("GET", path);
    expect(answer).toMatchObject({ status: 200, body: { rtc_transports: transports } });
    const file = await calling.request("GET", "/.well-known/matrix/client");
    expect(file.body["org.matrix.msc4143.rtc_foci"]).toEqual(transports);

    const silent = await hs.registerUser("silent");
    expect((await silent.call("GET", path)).body).toEqual({ rtc_transports: [] });
    const plain = await hs.request("GET", "/.well-known/matrix/client");
    expect(plain.body).not.toHaveProperty(["org.matrix.msc4143.rtc_foci"]);
  });
});

/** MSC1763. */
describe("getRetentionConfiguration", () => {
  test("names no policy, since nothing is taken away", async () => {
    const path = "/unstable/org.matrix.msc1763/retention/configuration";
    const answer = await (await hs.registerUser("keeps")).call("GET", path);
    expect(answer).toMatchObject({ status: 200, body: { policies: {}, limits: {} } });
  });
});

/** @spec client-server-api#get_matrixclientv3voipturnserver */
describe("getTurnServer", () => {
  test("says that there is none", async () => {
    const alice = await hs.registerUser("alice");
    const answer = await alice.call("GET", "/v3/voip/turnServer");
    expect(answer).toMatchObject({ status: 200, text: "{}" });
  });
});
