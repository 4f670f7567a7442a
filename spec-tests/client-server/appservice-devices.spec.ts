import { describe, expect, test } from "vitest";
import { alice, as, asBridge, newUser } from "./appservice-stage.ts";
import { refusal } from "./client.ts";
import { crossSigningKey, newPair } from "./signing.ts";

/** @spec client-server-api#put_matrixclientv3devicesdeviceid */
describe("updateDevice", () => {
  test("makes devices for application services, which delete them without a password", async () => {
    const userId = await newUser();
    const path = `/v3/devices/NEW?${as(userId)}`;
    const put = async () => await asBridge("PUT", path, { display_name: "Bridge" });
    expect(await put()).toMatchObject({ status: 201, body: {} });
    expect(await put()).toMatchObject({ status: 200, body: {} });
    expect((await asBridge("GET", path)).body.display_name).toBe("Bridge");
    const known = `/v3/account/whoami?${as(userId, "&device_id=NEW")}`;
    expect((await asBridge("GET", known)).status).toBe(200);
    expect((await asBridge("DELETE", path, {})).status).toBe(200);
    await expect
      .poll(async () => (await asBridge("GET", known)).body.errcode, { timeout: 20_000 })
      .toBe("M_UNKNOWN_DEVICE");
    expect(await alice.call("PUT", "/v3/devices/NEW", {})).toMatchObject(
      refusal(404, "M_NOT_FOUND"),
    );
  });
});

/** @spec client-server-api#post_matrixclientv3keysdevice_signingupload */
describe("uploadCrossSigningKeys", () => {
  test("takes new keys of an application service's user without a password", async () => {
    const userId = await newUser();
    for (let times = 0; times < 2; times++) {
      const body = { master_key: crossSigningKey(userId, "master", { pair: newPair() }) };
      const path = `/v3/keys/device_signing/upload?${as(userId)}`;
      expect((await asBridge("POST", path, body)).status).toBe(200);
    }
  });
});

describe("uploadKeys", () => {
  test("is for a device", async () => {
    const userId = await newUser();
    expect(await asBridge("POST", `/v3/keys/upload?${as(userId)}`, {})).toMatchObject(
      refusal(400, "M_MISSING_PARAM"),
    );
  });
});

describe("sendToDevice", () => {
  test("sends what an application service says on no device", async () => {
    const userId = await newUser();
    const path = `/v3/sendToDevice/test.type/1?${as(userId)}`;
    const body = { messages: { [alice.userId]: { [alice.deviceId]: { text: "hi" } } } };
    expect((await asBridge("PUT", path, body)).status).toBe(200);
    const { to_device } = await alice.syncUntil((it) => (it.to_device?.events.length ?? 0) > 0);
    expect(to_device?.events[0]).toMatchObject({ sender: userId, content: { text: "hi" } });
  });

  test("sends once what an application service repeats on no device", async () => {
    const userId = await newUser();
    const send = async (txnId: string, text: string) => {
      const path = `/v3/sendToDevice/test.repeated/${txnId}?${as(userId)}`;
      const body = { messages: { [alice.userId]: { [alice.deviceId]: { text } } } };
      expect((await asBridge("PUT", path, body)).status).toBe(200);
    };
    for (const text of ["first", "repeated"]) await send("1", text);
    await send("2", "last");
    const told: unknown[] = [];
    await alice.syncUntil(({ to_device }) => {
      const events = to_device?.events.filter(({ type }) => type === "test.repeated") ?? [];
      told.splice(0, told.length, ...events.map(({ content }) => content));
      return told.length > 1;
    });
    expect(told).toEqual([{ text: "first" }, { text: "last" }]);
  });
});
