import { watchAdmission } from "#src/auth/still-admitted.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { tailOf } from "#src/streams/tail.ts";
import { syncTokenOf } from "#src/timeline/token.ts";
import { viewOfRoom } from "#src/timeline/view-of-room.ts";
import { initialSyncText } from "../initial-sync.ts";
import { waitForNews, waitForNewsOfRoom } from "../news.ts";
import { readEventStream, type StreamAnswer, type StreamRequest } from "../read-event-stream.ts";
import { sinceOf } from "../since.ts";
import { limitOf, waitOf } from "./read-query.ts";

/** How many events are told at once, or of each room. */
const STREAM = { standard: 100, most: 100 };
const INITIAL = { standard: 10, most: 100 };

/**
 * The specification's `old_sync.yaml`, by which clients were told what happens before there was `/sync`, and
 * `peeking_events.yaml`, which adds to it what happens in one room, whoever is in it.
 */
export const oldSyncEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getEvents",
    method: "GET",
    path: "/_matrix/client/v3/events",
    rate: "none",
    guests: true,
    async handle(hs, { requester, query, signal }) {
      const roomId = query.get("room_id");
      const waitMs = waitOf(query);
      const limit = limitOf(query, STREAM);
      const from = await fromOf(hs, query.get("from"));
      const request = { requester, from, limit };
      const answer =
        roomId === null
          ? await ofAllRooms(hs, request, { waitMs, signal })
          : await ofOneRoom(hs, request, { roomId, waitMs, signal });
      return jsonText(
        `{"start":${JSON.stringify(syncTokenOf(from, undefined))},` +
          `"end":${JSON.stringify(syncTokenOf(answer.upTo, undefined))},` +
          `"chunk":[${answer.chunk.join(",")}]}`,
      );
    },
  }),
  userEndpoint({
    operation: "initialSync",
    method: "GET",
    path: "/_matrix/client/v3/initialSync",
    async handle(hs, { requester, query }) {
      const limit = limitOf(query, INITIAL);
      const archived = query.get("archived") === "true";
      return jsonText(await initialSyncText(hs, requester, { limit, archived }));
    },
  }),
];

type Waiting = { readonly waitMs: number; readonly signal: AbortSignal };

async function ofAllRooms(
  hs: Homeserver,
  request: StreamRequest,
  waiting: Waiting,
): Promise<StreamAnswer> {
  return await answerWithin(hs, waiting, request, {
    read: async (asked) => await readEventStream(hs, asked),
    wait: async (still) => await waitForNews(hs, request.requester, still),
  });
}

/** @spec client-server-api#get_matrixclientv3events */
async function ofOneRoom(
  hs: Homeserver,
  request: StreamRequest,
  { roomId, ...waiting }: Waiting & { readonly roomId: string },
): Promise<StreamAnswer> {
  const look = async () => await viewOfRoom(hs, request.requester, parseRoomId(roomId));
  const { room } = await look();
  return await answerWithin(hs, waiting, request, {
    // Meanwhile the room may have come to be closed to them.
    read: async (asked) => await readEventStream(hs, { ...asked, view: await look() }),
    wait: async (still) => await waitForNewsOfRoom(hs, room.roomKey, still),
  });
}

/** Answers at once if there is anything to tell, else when there is, or when the time is up. */
async function answerWithin(
  hs: Homeserver,
  { waitMs, signal }: Waiting,
  request: StreamRequest,
  {
    read,
    wait,
  }: {
    read: (asked: StreamRequest) => Promise<StreamAnswer>;
    wait: (still: Waiting & { after: number }) => Promise<void>;
  },
): Promise<StreamAnswer> {
  const until = performance.now() + waitMs;
  const requireAdmitted = watchAdmission(hs, request.requester);
  for (let { from } = request; ;) {
    const answer = await read({ ...request, from });
    await requireAdmitted();
    const left = until - performance.now();
    if (answer.chunk.length > 0 || left <= 0 || signal.aborted || hs.stopping.aborted) {
      return answer;
    }
    // What was read may all be of no concern, and there be more.
    if (answer.upTo >= tailOf(hs).position) {
      await wait({ after: answer.upTo, waitMs: left, signal });
    }
    from = answer.upTo;
  }
}

/** From where on a client wants to be told: from now, if it does not say. @throws MatrixError M_INVALID_PARAM */
async function fromOf(hs: Homeserver, token: string | null): Promise<number> {
  const { since } = token ? await sinceOf(hs, token) : {};
  if (since !== undefined) return since;
  await tailOf(hs).catchUp();
  return tailOf(hs).position;
}
