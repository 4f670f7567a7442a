import { LRUCache } from "lru-cache";
import { z } from "zod";
import type { RoomSummary } from "#src/directory/room-summary.ts";
import { TOLD_SUMMARY, withoutUndefined } from "#src/directory/told-summary.ts";
import { withAnswerMemory } from "#src/homeserver/answer-memory.ts";
import type { AnswerMemory } from "#src/homeserver/ask-options.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { isRoomId, type RoomId, type ServerName } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { parseServerName } from "#src/kit/server-name.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";
import { inOrder, readChildren } from "./space-child.ts";
import type { TreeRoom } from "./spaces-here.ts";

/** What other servers tell of a room, and of those in it if it is a space. */
export type RemoteSpace = {
  readonly room: TreeRoom;
  readonly children: ReadonlyMap<RoomId, TreeRoom>;
  /** Those of the children that nobody of this server could come into. */
  readonly closed: ReadonlySet<string>;
  /** How many bytes it came in. */
  readonly bytes: number;
};

/** How long an answer is believed; and, unless somebody comes to a room or goes meanwhile, that there is none. */
const BELIEVED_MS = 5 * 60_000;
const UNKNOWN_MS = 30_000;

/** How long a client waits for a server, and of how many a room is asked for. */
const TIMEOUT_MS = 10_000;
const MOST_SERVERS = 3;

/** How many answers are remembered, and of how many bytes: who answers may say as much as it likes. */
const MOST_ANSWERS = 2_000;
const MOST_BYTES = 64_000_000;

type Answers = {
  /** By the room and who was asked: who names others is not to decide what everybody is told. */
  readonly given: LRUCache<string, RemoteSpace>;
  readonly underWay: Map<string, Promise<RemoteSpace | undefined>>;
  /** Rooms of which nobody tells. What others may tell us depends on which rooms they know our users to be in. */
  readonly none: LRUCache<string, true>;
};

const answersOf = held((hs): Answers => {
  const none = lru<string, true>(MOST_ANSWERS, { ttl: UNKNOWN_MS });
  tailOf(hs).listen({
    changed(changes) {
      if (none.size > 0 && changes.some(isAboutMember)) none.clear();
    },
    missed: () => none.clear(),
  });
  const given = new LRUCache<string, RemoteSpace>({
    max: MOST_ANSWERS,
    maxSize: MOST_BYTES,
    sizeCalculation: (it) => it.bytes,
    ttl: BELIEVED_MS,
  });
  return { none, given, underWay: new Map() };
});

function isAboutMember({ stream, detail }: Change): boolean {
  if (stream !== EVENTS) return false;
  return !(detail instanceof StoredEvent) || detail.type === "m.room.member";
}

/**
 * What other servers tell of a room that this one is not in: asked at this moment, or a little while ago.
 *
 * @param via the servers that may know, the likeliest first.
 * @spec server-server-api#get_matrixfederationv1hierarchyroomid
 */
export async function remoteSpace(
  hs: Homeserver,
  roomId: RoomId,
  via: readonly ServerName[],
): Promise<RemoteSpace | undefined> {
  const { given, none, underWay } = answersOf(hs);
  const servers = [...new Set(via)]
    .filter((it) => it !== hs.name && isServerName(it))
    .slice(0, MOST_SERVERS);
  const key = JSON.stringify([roomId, servers]);
  if (none.has(key)) return undefined;
  const known = given.get(key) ?? underWay.get(key);
  if (known) return await known;
  const asked = ask(hs, roomId, servers).finally(() => underWay.delete(key));
  underWay.set(key, asked);
  const answer = await asked;
  if (answer) given.set(key, answer);
  else none.set(key, true);
  return answer;
}

async function ask(
  hs: Homeserver,
  roomId: RoomId,
  servers: readonly ServerName[],
): Promise<RemoteSpace | undefined> {
  for (const server of servers) {
    const space = await withAnswerMemory(
      hs,
      async (memory) => await askOne(hs, roomId, server, memory),
    );
    if (space) return space;
  }
  return undefined;
}

async function askOne(
  hs: Homeserver,
  roomId: RoomId,
  server: ServerName,
  memory: AnswerMemory,
): Promise<RemoteSpace | undefined> {
  const options = { timeoutMs: TIMEOUT_MS, memory };
  const answer = await hs.remotes.getSpaceHierarchy(server, { roomId }, options);
  if (!answer.ok) return undefined;
  const room = readRoom(answer.body.room);
  if (room?.summary.room_id !== roomId) return undefined;
  const children = answer.body.children.flatMap((it) => readRoom(it) ?? []);
  return {
    room,
    children: new Map(children.map((it) => [it.summary.room_id, it])),
    closed: new Set(answer.body.inaccessible_children),
    bytes: Math.max(1, memory.answerBytes()),
  };
}

const text = z.string().optional().catch(undefined);

const ARoom = z.object({
  ...TOLD_SUMMARY,
  num_joined_members: z.int().nonnegative(),
  room_version: text,
  encryption: text,
  allowed_room_ids: z
    .array(z.string())
    .max(1_000)
    .transform((its) => its.filter(isRoomId))
    .optional()
    .catch(undefined),
  children_state: z.unknown().optional(),
});

function readRoom(value: unknown): TreeRoom | undefined {
  const read = ARoom.safeParse(value).data;
  if (!read || !isRoomId(read.room_id)) return undefined;
  const { children_state, ...said } = read;
  const summary = withoutUndefined(said) as unknown as RoomSummary;
  return { summary, children: inOrder(readChildren(children_state)) };
}

function isServerName(name: string): boolean {
  try {
    parseServerName(name);
    return true;
  } catch {
    // Another server's mistake, which nobody here need hear of.
    return false;
  }
}
