import { setTimeout as sleep } from "node:timers/promises";
import { closedLoop } from "../load/arrivals.ts";
import { DeliveryError } from "../load/delivery.ts";
import { claimKeys, type Device, receive, shareSession, uploadKeys } from "../load/device.ts";
import { type Account, logIn, putEvent } from "../load/matrix-client.ts";
import { type Connections, fillRoom, openConnections, registerUsers } from "../load/population.ts";
import { measure, type Stage } from "../load/stage.ts";
import { bySize, numberAt, type Workload } from "./workload.ts";

const DEVICES_EACH = 3;
const IN_FLIGHT = 8;
const PATIENCE_MS = 20_000;

/**
 * W14: users with three devices each in one encrypted room; some of them share a new session with all devices, and all
 * devices get it. One operation is a message to a device.
 */
export const roomKeys: Workload = {
  id: "W14",
  title: "room keys to all devices",
  beyondNull: true,
  cases: new Map([["W14/200", "S"]]),
  run,
};

async function run(stage: Stage, [id = "W14/200"]: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w14-", numberAt(id, 1));
  const senders = bySize(stage.size, [5, 20, 100]);
  const devices = await devicesOf(connections, users, senders);
  const [maker] = users;
  if (maker === undefined) throw new Error("Nobody could be registered.");
  const { roomId } = await fillRoom(connections.lane(0), users);
  const content = JSON.stringify({ algorithm: "m.megolm.v1.aes-sha2" });
  await putEvent(connections.lane(0), maker, { roomId, path: "state/m.room.encryption", content });
  await receiveAll(connections, devices);

  const sessions = Array.from({ length: senders }, (_, index) => `session ${index}`);
  const userIds = users.map(({ userId }) => userId);
  const measurement = await measure(stage, id, {
    operations: senders * devices.length,
    connections,
    run: async () => {
      await closedLoop({ count: senders, inFlight: IN_FLIGHT }, async (index, lane) => {
        const sender = users[index] ?? maker;
        const found = await claimKeys(connections.lane(lane), sender, userIds);
        const session = sessions[index] ?? "";
        await shareSession(connections.lane(lane), sender, { devices: found, session });
      });
      return await receiveAll(connections, devices);
    },
  });
  for (const { received } of devices) {
    if (received.length !== senders || new Set(received).size !== senders) {
      throw new DeliveryError("a device has not got each session once");
    }
  }
  const rowsLeft = await rowsLeftOf(stage);
  await stage.report({ ...measurement, figures: { rowsLeft } });
  connections.close();
}

async function devicesOf(
  connections: Connections,
  users: readonly Account[],
  oneTimeKeys: number,
): Promise<Device[]> {
  const devices: Device[] = [];
  const count = users.length * DEVICES_EACH;
  await closedLoop({ count, inFlight: IN_FLIGHT }, async (index, lane) => {
    const user = users[index % users.length];
    if (user === undefined) return;
    const deviceId = `DEVICE${Math.floor(index / users.length)}`;
    const account = await logIn(connections.lane(lane), user.userId, deviceId);
    const device: Device = { account, deviceId, since: undefined, received: [] };
    await uploadKeys(connections.lane(lane), device, oneTimeKeys);
    devices.push(device);
  });
  return devices;
}

/** Every device syncs until nothing more comes, as clients do, which says that it has what came. */
async function receiveAll(connections: Connections, devices: readonly Device[]): Promise<number[]> {
  const times: number[] = [];
  await closedLoop({ count: devices.length, inFlight: IN_FLIGHT }, async (index, lane) => {
    const device = devices[index];
    if (device === undefined) return;
    let came: number;
    do {
      const start = performance.now();
      came = await receive(connections.lane(lane), device);
      times.push(performance.now() - start);
    } while (came > 0);
  });
  return times;
}

/** What has been read may go a little later. */
async function rowsLeftOf(stage: Stage): Promise<number> {
  const deadline = performance.now() + PATIENCE_MS;
  let left = await stage.waitingMessages();
  while (left > 0 && performance.now() < deadline) {
    await sleep(500);
    left = await stage.waitingMessages();
  }
  return left;
}
