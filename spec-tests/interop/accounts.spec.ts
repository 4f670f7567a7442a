import { setTimeout as sleep } from "node:timers/promises";
import {
  ClientEvent,
  createClient,
  HttpApiEvent,
  type MatrixClient,
  SyncState,
} from "matrix-js-sdk";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HomeserverUnderTest, isOutside, startHomeserver } from "../homeserver-under-test.ts";
import { PASSWORD, type TestUser } from "../test-user.ts";
import { newDevice, SOON } from "./js-sdk.ts";

const TOKEN_LIFETIME_MS = 5_000;

let homeserver: HomeserverUnderTest;
let user: TestUser;

beforeAll(async () => {
  homeserver = await startHomeserver({
    env: { ARCHIPEL_SESSIONS_ACCESS_TOKEN_LIFETIME_MS: String(TOKEN_LIFETIME_MS) },
  });
  user = await homeserver.registerUser("alice");
});
afterAll(async () => await homeserver?.dispose());

describe("a device", () => {
  test("finds out what the server can do before it logs in", async () => {
    const client = createClient({ baseUrl: homeserver.url });
    expect((await client.getVersions()).versions).toContain("v1.11");
    const { flows } = await client.loginFlows();
    expect(flows.map(({ type }) => type)).toContain("m.login.password");
    await expect(
      client.loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: user.localpart },
        password: `not ${PASSWORD}`,
      }),
    ).rejects.toMatchObject({ errcode: "M_FORBIDDEN" });
  });

  test("is known by its name, and gone with its token when it logs out", async () => {
    const stays = await newDevice(homeserver, user);
    const goes = await newDevice(homeserver, user, {
      login: { initial_device_display_name: "Old telephone" },
    });
    const names = async () => {
      const { devices } = await stays.client.getDevices();
      return new Map(devices.map((it) => [it.device_id, it.display_name]));
    };
    expect((await names()).get(goes.deviceId)).toBe("Old telephone");
    const token = goes.client.getAccessToken() ?? "";
    await goes.client.logout(true);
    expect((await names()).has(goes.deviceId)).toBe(false);
    const left = createClient({ baseUrl: homeserver.url, accessToken: token });
    await expect(left.whoami()).rejects.toMatchObject({ errcode: "M_UNKNOWN_TOKEN" });
    expect((await stays.client.whoami()).device_id).toBe(stays.deviceId);
    stays.stop();
  });

  test("that syncs is told when another ends its session", async () => {
    const ended = await newDevice(homeserver, user);
    const other = await newDevice(homeserver, user);
    const told = new Promise((settle) => ended.client.once(HttpApiEvent.SessionLoggedOut, settle));
    await other.client.http.authedRequest("POST" as never, "/logout/all");
    await expect(told).resolves.toMatchObject({ errcode: "M_UNKNOWN_TOKEN" });
    ended.stop();
    other.stop();
  });

  test("that asks for one twice under one ID is one device", async () => {
    const first = await newDevice(homeserver, user);
    first.stop();
    const again = await newDevice(homeserver, user, { login: { device_id: first.deviceId } });
    expect(again.deviceId).toBe(first.deviceId);
    const { devices } = await again.client.getDevices();
    expect(devices.filter((it) => it.device_id === first.deviceId)).toHaveLength(1);
    again.stop();
  });
});

describe.skipIf(isOutside)("a session with a refresh token", () => {
  /** Logs in with a token that soon expires, and syncs with it. */
  async function shortLived(): Promise<{ client: MatrixClient; refreshToken: string }> {
    const login = await createClient({ baseUrl: homeserver.url }).loginRequest({
      type: "m.login.password",
      identifier: { type: "m.id.user", user: user.localpart },
      password: PASSWORD,
      refresh_token: true,
    });
    expect(login.expires_in_ms).toBe(TOKEN_LIFETIME_MS);
    const { access_token: accessToken, user_id: userId, device_id: deviceId } = login;
    const client = createClient({ baseUrl: homeserver.url, accessToken, userId, deviceId });
    return { client, refreshToken: login.refresh_token ?? "" };
  }

  test("goes on after its access token has expired", async () => {
    const { client, refreshToken } = await shortLived();
    const deviceId = client.getDeviceId();
    await sleep(TOKEN_LIFETIME_MS + 100);
    await expect(client.whoami()).rejects.toMatchObject({
      errcode: "M_UNKNOWN_TOKEN",
      data: { soft_logout: true },
    });

    const fresh = await client.refreshToken(refreshToken);
    client.setAccessToken(fresh.access_token);
    const states: SyncState[] = [];
    client.on(ClientEvent.Sync, (state) => states.push(state));
    await client.startClient();
    await expect.poll(() => states, SOON).toContain(SyncState.Prepared);
    expect((await client.whoami()).device_id).toBe(deviceId);
    client.stopClient();

    // What was refreshed has been used up; what came in its stead has not.
    await expect(client.refreshToken(refreshToken)).rejects.toMatchObject({
      errcode: "M_UNKNOWN_TOKEN",
    });
    const next = await client.refreshToken(fresh.refresh_token);
    client.setAccessToken(next.access_token);
    await client.whoami();
  });
});

describe("media", () => {
  test("come back as they went up, and small if that is asked for, to those who are logged in", async () => {
    const device = await newDevice(homeserver, user);
    const { client } = device;
    const picture = await sharp({
      create: { width: 640, height: 480, channels: 3, background: "#06c" },
    })
      .png()
      .toBuffer();
    const { content_uri: uri } = await client.uploadContent(new Blob([new Uint8Array(picture)]), {
      name: "sea & sky.png",
      type: "image/png",
    });
    const authorized = { headers: { authorization: `Bearer ${client.getAccessToken()}` } };
    const whole =
      client.mxcUrlToHttp(uri, undefined, undefined, undefined, false, true, true) ?? "";
    const down = await fetch(whole, authorized);
    expect(down.status).toBe(200);
    expect(down.headers.get("content-type")).toBe("image/png");
    expect(down.headers.get("content-disposition")).toContain("sea");
    expect(Buffer.from(await down.arrayBuffer()).equals(picture)).toBe(true);

    const small = client.mxcUrlToHttp(uri, 96, 96, "scale", false, true, true) ?? "";
    const thumbnail = await fetch(small, authorized);
    expect(thumbnail.status).toBe(200);
    const { width, height } = await sharp(Buffer.from(await thumbnail.arrayBuffer())).metadata();
    expect(Math.max(width ?? 0, height ?? 0)).toBeLessThan(640);
    expect((width ?? 0) / (height ?? 1)).toBeCloseTo(4 / 3, 1);

    expect((await fetch(whole)).status).toBe(401);
    expect((await client.getMediaConfig(true))["m.upload.size"]).toBeGreaterThan(picture.length);
    device.stop();
  });
});
