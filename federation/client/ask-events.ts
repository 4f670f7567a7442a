import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { AnEventId, EventIds, mapOf, RawPdus } from "./answer-schemas.ts";
import { asking, type Question } from "./ask-server.ts";
import { sparingIfAsked } from "./spare-absent.ts";
import { path, withQuery } from "./uri.ts";

/** The most bytes of a room's state, or of the events that authorise it. */
export const MOST_STATE_BYTES = 256 * 1024 * 1024;

const TransactionAnswer = z.object({
  // Some servers say nothing of the events that they have taken.
  pdus: mapOf(z.object({ error: z.string().exactOptional() })).catch(() => new Map()),
});

/** Not all servers say when they made it. */
const Pdus = z.object({ pdus: RawPdus, origin_server_ts: z.int().catch(0) });

type EventQuestions = Pick<
  Remotes,
  | "sendTransaction"
  | "getEvent"
  | "getEventAuth"
  | "getRoomState"
  | "getRoomStateIds"
  | "backfillRoom"
  | "getMissingPreviousEvents"
  | "getEventByTimestamp"
  | "askPolicyServerToSign"
>;

/** What other servers can be told and asked about events. */
export function eventQuestions(hs: Homeserver): EventQuestions {
  const sparing = <Q, T>(expected: z.ZodType<T>, questionOf: (question: Q) => Question) =>
    sparingIfAsked(hs, asking(hs, expected, questionOf));
  return {
    /** @spec server-server-api#put_matrixfederationv1sendtxnid */
    sendTransaction: asking(hs, TransactionAnswer, ({ txnId, origin_server_ts, pdus, edus }) => ({
      operation: "sendTransaction",
      method: "PUT",
      uri: path`/_matrix/federation/v1/send/${txnId}`,
      // Canonical JSON, put together from texts that are: nothing is encoded twice.
      content: `{"edus":[${edus.join(",")}],"origin":${JSON.stringify(hs.name)},"origin_server_ts":${origin_server_ts},"pdus":[${pdus.join(",")}]}`,
    })),
    /** @spec server-server-api#get_matrixfederationv1eventeventid */
    getEvent: sparing(Pdus, ({ eventId }) => ({
      operation: "getEvent",
      method: "GET",
      uri: path`/_matrix/federation/v1/event/${eventId}`,
    })),
    /** @spec server-server-api#get_matrixfederationv1event_authroomideventid */
    getEventAuth: sparing(z.object({ auth_chain: RawPdus }), ({ roomId, eventId }) => ({
      operation: "getEventAuth",
      method: "GET",
      uri: path`/_matrix/federation/v1/event_auth/${roomId}/${eventId}`,
      mostBytes: MOST_STATE_BYTES,
    })),
    /** @spec server-server-api#get_matrixfederationv1stateroomid */
    getRoomState: sparing(
      z.object({ auth_chain: RawPdus, pdus: RawPdus }),
      ({ roomId, eventId }) => ({
        operation: "getRoomState",
        method: "GET",
        uri: withQuery(path`/_matrix/federation/v1/state/${roomId}`, { event_id: eventId }),
        mostBytes: MOST_STATE_BYTES,
      }),
    ),
    /** @spec server-server-api#get_matrixfederationv1state_idsroomid */
    getRoomStateIds: sparing(
      z.object({ auth_chain_ids: EventIds, pdu_ids: EventIds }),
      ({ roomId, eventId }) => ({
        operation: "getRoomStateIds",
        method: "GET",
        uri: withQuery(path`/_matrix/federation/v1/state_ids/${roomId}`, { event_id: eventId }),
        mostBytes: MOST_STATE_BYTES,
      }),
    ),
    /** @spec server-server-api#get_matrixfederationv1backfillroomid */
    backfillRoom: sparing(z.object({ pdus: RawPdus }), ({ roomId, from, limit }) => ({
      operation: "backfillRoom",
      method: "GET",
      uri: withQuery(path`/_matrix/federation/v1/backfill/${roomId}`, { v: from, limit }),
    })),
    /** @spec server-server-api#post_matrixfederationv1get_missing_eventsroomid */
    getMissingPreviousEvents: sparing(z.object({ events: RawPdus }), ({ roomId, ...content }) => ({
      operation: "getMissingPreviousEvents",
      method: "POST",
      uri: path`/_matrix/federation/v1/get_missing_events/${roomId}`,
      content,
    })),
    /** @spec server-server-api#get_matrixfederationv1timestamp_to_eventroomid */
    getEventByTimestamp: asking(
      hs,
      z.object({ event_id: AnEventId, origin_server_ts: z.int() }),
      ({ roomId, ts, dir }) => ({
        operation: "getEventByTimestamp",
        method: "GET",
        uri: withQuery(path`/_matrix/federation/v1/timestamp_to_event/${roomId}`, { ts, dir }),
      }),
    ),
    /** @spec server-server-api#post_matrixpolicyv1sign */
    askPolicyServerToSign: asking(hs, mapOf(mapOf(z.string(), 100), 100), ({ event, isOld }) => ({
      operation: "askPolicyServerToSign",
      method: "POST",
      uri: isOld ? "/_matrix/policy/unstable/org.matrix.msc4284/sign" : "/_matrix/policy/v1/sign",
      content: event,
    })),
  };
}
