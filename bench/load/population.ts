import { closedLoop } from "./arrivals.ts";
import { HttpConnection, type HttpTarget } from "./http-connection.ts";
import { type Account, createRoom, joinRoom, register } from "./matrix-client.ts";

/** A room of the load and who is in it, its maker first. */
export type Room = { readonly roomId: string; readonly members: readonly Account[] };

/** How many requests at once set things up: enough to be quick, too few to fork a room. */
const SETTING_UP = 4;

/** Connections that are there for whoever has a task: a lane of a loop uses the one with its number. */
export type Connections = {
  lane(index: number): HttpConnection;
  /** Bytes of all of them so far. */
  bytes(): { read: number; written: number };
  close(): void;
};

/** Opens connections as they are asked for. */
export function openConnections(target: HttpTarget): Connections {
  const open: HttpConnection[] = [];
  return {
    lane: (index) => (open[index] ??= new HttpConnection(target)),
    bytes: () => ({
      read: open.reduce((sum, { bytesRead }) => sum + bytesRead, 0),
      written: open.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0),
    }),
    close: () => open.forEach((connection) => connection.close()),
  };
}

/** Registers so many users. `prefix` keeps them apart from others. */
export async function registerUsers(
  connections: Connections,
  prefix: string,
  count: number,
): Promise<Account[]> {
  const users: Account[] = [];
  await closedLoop({ count, inFlight: SETTING_UP }, async (index, lane) => {
    users[index] = await register(connections.lane(lane), `${prefix}${index}`);
  });
  return users;
}

/** Makes a room; the first of its members is its maker, and the others join one after another. */
export async function fillRoom(
  connection: HttpConnection,
  members: readonly Account[],
): Promise<Room> {
  const [maker, ...others] = members;
  if (maker === undefined) throw new Error("A room must have a member.");
  const roomId = await createRoom(connection, maker);
  for (const other of others) await joinRoom(connection, other, roomId);
  return { roomId, members };
}

/**
 * Makes many rooms.
 *
 * @param membersOf whom to put in which
 */
export async function fillRooms(
  connections: Connections,
  count: number,
  membersOf: (index: number) => readonly Account[],
): Promise<Room[]> {
  const rooms: Room[] = [];
  await closedLoop({ count, inFlight: SETTING_UP }, async (index, lane) => {
    rooms[index] = await fillRoom(connections.lane(lane), membersOf(index));
  });
  return rooms;
}
