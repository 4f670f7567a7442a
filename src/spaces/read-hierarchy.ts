import type { RoomSummary } from "#src/directory/room-summary.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { sightOfUser } from "./may-see-room.ts";
import { remoteSpace, type RemoteSpace } from "./remote-space.ts";
import { SPACE, type SpaceChild, viaOf } from "./space-child.ts";
import { findRoomsHere, type TreeRoom } from "./spaces-here.ts";

export type HierarchyQuestion = {
  readonly roomId: RoomId;
  readonly suggestedOnly: boolean;
  readonly limit: number;
  readonly maxDepth: number;
  /** How many rooms of the tree have been told already. */
  readonly offset: number;
};

/** A room of a hierarchy as it goes over the wire. */
export type HierarchyRoom = RoomSummary & { readonly children_state: readonly SpaceChild[] };

/** Rooms that one request may look at, whoever has put them into whose space. */
const MOST_ROOMS = 5_000;

/** How many rooms other servers are asked about at once. */
const MOST_QUESTIONS = 10;

/** How many bytes other servers may tell for one request: then the rooms that are left have not been found. */
const MOST_BYTES = 32_000_000;

/** A room that is to be looked at. */
type Step = {
  readonly roomId: RoomId;
  readonly via: readonly ServerName[];
  readonly depth: number;
};

/**
 * The rooms in a space and in the spaces in it, as a user may see them: each once, parents first. Rooms
 * that this server is not in are asked for.
 *
 * @returns some of them, and whether there are more.
 * @throws MatrixError M_FORBIDDEN if the user may not see the space.
 * @spec client-server-api#get_matrixclientv1roomsroomidhierarchy
 */
export async function readHierarchy(
  hs: Homeserver,
  requester: { readonly userKey: number },
  { roomId, suggestedOnly, limit, maxDepth, offset }: HierarchyQuestion,
): Promise<{ rooms: readonly HierarchyRoom[]; hasMore: boolean }> {
  const tree = new Tree(hs, requester.userKey);
  const top = (await tree.look([{ roomId, via: [], depth: 0 }])).get(roomId);
  if (!top) throw new MatrixError("M_FORBIDDEN", "You may not see this room");
  const rooms: HierarchyRoom[] = [];
  const seen = new Set<RoomId>();
  const open: Step[] = [{ roomId, via: [], depth: 0 }];
  for (let step = open.pop(); step && rooms.length <= offset + limit; step = open.pop()) {
    if (seen.has(step.roomId) || seen.size >= MOST_ROOMS) continue;
    seen.add(step.roomId);
    const room = (await tree.look([step])).get(step.roomId);
    if (!room) continue;
    const children = room.children.filter((it) => !suggestedOnly || isSuggested(it));
    rooms.push({ ...room.summary, children_state: children });
    if (step.depth >= maxDepth) continue;
    const below = children.map((it): Step => ({
      roomId: it.state_key,
      via: viaOf(it),
      depth: step.depth + 1,
    }));
    const next = below.filter((it) => !seen.has(it.roomId)).slice(0, offset + limit + 1);
    await tree.look(next);
    open.push(...next.toReversed());
  }
  return {
    rooms: rooms.slice(offset, offset + limit),
    hasMore: rooms.length > offset + limit,
  };
}

function isSuggested({ content }: SpaceChild): boolean {
  return content["suggested"] === true;
}

/** What has been learnt of rooms for one request. */
class Tree {
  readonly #hs: Homeserver;
  readonly #userKey: number;
  /** Undefined for those that the user may not see, or of which nobody tells. */
  readonly #rooms = new Map<RoomId, TreeRoom | undefined>();
  /** What other servers have told of rooms in passing, when they were asked about the space above. */
  readonly #told = new Map<RoomId, TreeRoom>();
  readonly #closed = new Set<string>();
  #bytes = 0;

  constructor(hs: Homeserver, userKey: number) {
    this.#hs = hs;
    this.#userKey = userKey;
  }

  /** What the user may know of rooms. */
  async look(steps: readonly Step[]): Promise<ReadonlyMap<RoomId, TreeRoom | undefined>> {
    const unknown = steps.filter((it) => !this.#rooms.has(it.roomId));
    if (unknown.length > 0) await this.#learn(unknown);
    return this.#rooms;
  }

  async #learn(steps: readonly Step[]): Promise<void> {
    const here: ReadonlyMap<RoomId, TreeRoom> = await findRoomsHere(
      this.#hs,
      steps.map((it) => it.roomId),
    );
    const found = new Map(here);
    const elsewhere = steps.filter((it) => !found.has(it.roomId));
    for (let from = 0; from < elsewhere.length; from += MOST_QUESTIONS) {
      const some = elsewhere.slice(from, from + MOST_QUESTIONS);
      const rooms = await Promise.all(some.map(async (it) => await this.#fromElsewhere(it)));
      for (const it of rooms) if (it) found.set(it.summary.room_id, it);
    }
    const maySee = await sightOfUser(
      this.#hs,
      this.#userKey,
      [...found.values()].map((it) => it.summary),
    );
    for (const { roomId } of steps) {
      const room = found.get(roomId);
      this.#rooms.set(roomId, room && maySee(room.summary) ? room : undefined);
    }
  }

  async #fromElsewhere({ roomId, via }: Step): Promise<TreeRoom | undefined> {
    const told = this.#told.get(roomId);
    // What is in a space has to be asked for.
    if (told && told.summary.room_type !== SPACE) return told;
    if (this.#closed.has(roomId) || this.#bytes > MOST_BYTES) return undefined;
    const answer = await remoteSpace(this.#hs, roomId, via);
    if (answer) this.#heed(answer);
    return answer?.room ?? told;
  }

  #heed({ children, closed, bytes }: RemoteSpace): void {
    this.#bytes += bytes;
    for (const [roomId, room] of children) this.#told.set(roomId, room);
    for (const roomId of closed) this.#closed.add(roomId);
  }
}
