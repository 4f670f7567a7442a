import type { Dice } from "../oracle/dice.ts";
import { PASSWORD, registerUser } from "../test-user.ts";
import { demand, type Request } from "./call.ts";

/** Somebody who is logged in with one device. */
export type Device = {
  readonly userId: string;
  readonly deviceId: string;
  readonly token: string;
};

/** Who plays in a trial, and where. All are joined to all rooms when it begins. */
export type Cast = {
  /** One device of each user. The first user made the rooms, and never leaves them. */
  readonly devices: readonly [Device, ...Device[]];
  /** A second device of the first user. */
  readonly second: Device;
  readonly roomIds: readonly string[];
};

const USERS = 5;
const ROOMS = 3;

const ROOM_VERSIONS = Array.from({ length: 12 }, (_, index) => String(index + 1));

/** Everybody may do everything. */
const LEVELS = { users_default: 0, events_default: 0, state_default: 0, redact: 0 };

/** What makes a room that all may join and change. */
export function roomRequest(dice: Dice): object {
  return {
    preset: "public_chat",
    room_version: dice.pick(ROOM_VERSIONS),
    power_level_content_override: LEVELS,
  };
}

/** Registers users, and has them make and join rooms of all versions. */
export async function assembleCast(url: string, dice: Dice): Promise<Cast> {
  const owner = await newDevice(url);
  const others = await Promise.all(
    Array.from({ length: USERS - 1 }, async () => await newDevice(url)),
  );
  const roomIds = await Promise.all(
    Array.from({ length: ROOMS }, async () => {
      const path = "/v3/createRoom";
      const { token } = owner;
      const made = await demand(url, { method: "POST", path, token, body: roomRequest(dice) });
      return String(made.room_id);
    }),
  );
  for (const roomId of roomIds) {
    await Promise.all(others.map(async (it) => await demand(url, joinRequest(it, roomId))));
  }
  return { devices: [owner, ...others], second: await logIn(url, owner.userId), roomIds };
}

async function newDevice(url: string): Promise<Device> {
  const { userId, deviceId, accessToken: token } = await registerUser(url, "actor");
  return { userId, deviceId, token };
}

async function logIn(url: string, userId: string): Promise<Device> {
  const identifier = { type: "m.id.user", user: userId };
  const body = { type: "m.login.password", identifier, password: PASSWORD };
  const login = await demand(url, { method: "POST", path: "/v3/login", body });
  return { userId, deviceId: login.device_id, token: login.access_token };
}

export function joinRequest({ token }: Device, roomId: string): Request {
  return { method: "POST", path: `/v3/join/${encodeURIComponent(roomId)}`, token, body: {} };
}
