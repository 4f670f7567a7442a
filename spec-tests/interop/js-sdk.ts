import { setTimeout as sleep } from "node:timers/promises";
import {
  ClientEvent,
  createClient,
  Direction,
  type EventTimeline,
  type ILoginParams,
  type IStartClientOpts,
  type MatrixClient,
  type MatrixEvent,
  PendingEventOrdering,
  type Room,
  SyncState,
} from "matrix-js-sdk";
import type { Logger } from "matrix-js-sdk/lib/logger.js";
import { SlidingSync } from "matrix-js-sdk/lib/sliding-sync.js";
import type { SyncAnswer } from "../answers.ts";
import type { HomeserverUnderTest } from "../homeserver-under-test.ts";
import { PASSWORD, type TestUser } from "../test-user.ts";

/** How long to wait, for `expect.poll`, for something that another client has done. */
export const SOON = { timeout: 10_000, interval: 20 };

/** How long `until` waits: what it waits for may come from another server. */
const UNTIL_MS = 30_000;

/** A device with matrix-js-sdk on it, logged in and syncing. */
export type SdkDevice = {
  readonly client: MatrixClient;
  readonly userId: string;
  readonly deviceId: string;
  /**
   * The IDs of the events that came in the timelines of all whole sync responses, in order, as they were on the wire:
   * the SDK itself would hide an event that comes twice.
   */
  readonly delivered: ReadonlyMap<string, readonly string[]>;
  /** A room this device knows of. @throws Error if it does not */
  room(roomId: string): Room;
  stop(): void;
};

export type DeviceOptions = {
  readonly encrypted?: boolean;
  /** Whether it asks for what is new by sliding sync. */
  readonly sliding?: boolean;
  readonly start?: IStartClientOpts;
  readonly login?: Partial<ILoginParams>;
};

const SILENT: Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  getChild: () => SILENT,
};

/** Logs a user in on a new device, and starts it. Done when it has synced once. */
export async function newDevice(
  homeserver: Pick<HomeserverUnderTest, "url">,
  user: Pick<TestUser, "localpart">,
  { encrypted = false, sliding = false, start = {}, login = {} }: DeviceOptions = {},
): Promise<SdkDevice> {
  const baseUrl = homeserver.url;
  const delivered = new Map<string, string[]>();
  const session = await createClient({ baseUrl, logger: SILENT }).loginRequest({
    type: "m.login.password",
    identifier: { type: "m.id.user", user: user.localpart },
    password: PASSWORD,
    ...login,
  });
  const client = createClient({
    baseUrl,
    logger: SILENT,
    userId: session.user_id,
    deviceId: session.device_id,
    accessToken: session.access_token,
    timelineSupport: true,
    fetchFn: async (...request) => {
      const response = await fetch(...request);
      return isSync(request[0]) ? await noteDelivered(response, delivered) : response;
    },
  });
  client.setMaxListeners(0);
  if (encrypted) await client.initRustCrypto({ useIndexedDB: false });
  await startSyncing(client, {
    ...start,
    ...(sliding && { slidingSync: slidingSyncOf(client, baseUrl) }),
  });
  return {
    client,
    userId: session.user_id,
    deviceId: session.device_id,
    delivered,
    room(roomId) {
      const room = client.getRoom(roomId);
      if (room === null) throw new Error(`This device does not know ${roomId}.`);
      return room;
    },
    stop: () => client.stopClient(),
  };
}

/** Waits until something that another client has done has come. @throws Error when it has not in half a minute */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + UNTIL_MS;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`This did not come to hold: ${holds.toString()}`);
    await sleep(SOON.interval);
  }
}

/** The texts of a room's messages as this device would show them: decrypted, edited, without those redacted. */
export function textsIn(device: SdkDevice, roomId: string): string[] {
  const room = device.client.getRoom(roomId);
  const events = room === null ? [] : timelinesOf(room).flatMap((it) => it.getEvents());
  return events.filter(isText).map((event) => event.getContent()["body"]);
}

/** Reads a room back to its beginning. @throws Error when a hundred pages have not reached it */
export async function pageBack(device: SdkDevice, roomId: string, limit = 20): Promise<void> {
  for (let page = 0; page < 100; page++) {
    const [first] = timelinesOf(device.room(roomId));
    if (first === undefined || first.getPaginationToken(Direction.Backward) === null) return;
    await device.client.paginateEventTimeline(first, { backwards: true, limit });
  }
  throw new Error("The room has no beginning.");
}

/** After a gap the SDK begins a new timeline, and ties it to the one before once pages have filled the gap. */
function timelinesOf(room: Room): EventTimeline[] {
  const timelines = [room.getLiveTimeline()];
  for (;;) {
    const before = timelines[0]?.getNeighbouringTimeline(Direction.Backward) ?? null;
    if (before === null) return timelines;
    timelines.unshift(before);
  }
}

/** A new room that both are in. */
export async function sharedRoom(
  owner: SdkDevice,
  guest: SdkDevice,
  options: Parameters<MatrixClient["createRoom"]>[0] = {},
): Promise<string> {
  const { room_id: roomId } = await owner.client.createRoom({ invite: [guest.userId], ...options });
  await until(() => guest.client.getRoom(roomId)?.getMyMembership() === "invite");
  await guest.client.joinRoom(roomId);
  for (const device of [owner, guest]) {
    const membership = () => device.client.getRoom(roomId)?.getMember(guest.userId)?.membership;
    await until(() => membership() === "join");
  }
  return roomId;
}

function isText(event: MatrixEvent): boolean {
  // An edit is shown in the place of what it edits.
  return (
    event.getType() === "m.room.message" && !event.isRedacted() && !event.isRelation("m.replace")
  );
}

function isSync(request: string | URL | Request): boolean {
  const url = request instanceof Request ? request.url : request;
  return new URL(url).pathname.endsWith("/sync");
}

/** @returns the response again, to be read by the SDK. A body that was cut off is the SDK's to notice. */
async function noteDelivered(
  response: Response,
  delivered: Map<string, string[]>,
): Promise<Response> {
  const text = await response.text();
  const { status, headers } = response;
  const answer = (status === 200 ? JSON.parse(text) : {}) as Partial<SyncAnswer>;
  for (const [roomId, { timeline }] of Object.entries(answer.rooms?.join ?? {})) {
    const ids = delivered.get(roomId) ?? [];
    for (const event of timeline?.events ?? []) ids.push(event.event_id);
    delivered.set(roomId, ids);
  }
  return new Response(text, { status, headers });
}

/** All of a user's rooms, with the state that the SDK needs to show them. */
function slidingSyncOf(client: MatrixClient, baseUrl: string): SlidingSync {
  const all = {
    ranges: [[0, 99]],
    timeline_limit: 20,
    required_state: [["*", "*"]],
  };
  return new SlidingSync(baseUrl, new Map([["all", all]]), all, client, 5_000);
}

async function startSyncing(client: MatrixClient, options: IStartClientOpts): Promise<void> {
  const synced = new Promise<void>((settle, fail) => {
    client.on(ClientEvent.Sync, (state, _previous, data) => {
      if (state === SyncState.Prepared) settle();
      if (state === SyncState.Error) fail(data?.error ?? new Error("The first sync failed."));
    });
  });
  await client.startClient({
    pendingEventOrdering: PendingEventOrdering.Detached,
    disablePresence: true,
    ...options,
  });
  await synced;
}

/** What a device has of an event, if it has it. */
export function seen(device: SdkDevice, roomId: string, eventId: string): MatrixEvent | undefined {
  return device.client.getRoom(roomId)?.findEventById(eventId);
}

/** Sends a text, and waits until another device has it. */
export async function say(
  from: SdkDevice,
  to: SdkDevice,
  roomId: string,
  text: string,
): Promise<string> {
  const { event_id: eventId } = await from.client.sendTextMessage(roomId, text);
  await until(() => seen(to, roomId, eventId)?.getContent()["body"] === text);
  return eventId;
}
