import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, openEndpoint, userEndpoint } from "#src/http/endpoint.ts";
import { checkRate } from "#src/http/rate-limit.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseRoomId, parseTransactionId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { requireRoom } from "#src/rooms/memberships.ts";
import { type Action, ACTIONS, type DelayedEvent, wireOf } from "../delayed-event.ts";
import { manageDelayedEvent } from "../manage-delayed-event.ts";
import { delayedEventById, delayedEventsOf } from "../queries-delayed-events.ts";
import { scheduleEvent } from "../schedule-event.ts";
import { countInvitation } from "./count-invitation.ts";

const MSC4140 = "/_matrix/client/unstable/org.matrix.msc4140";

/** More than one may have waiting, or has kept. */
const MOST = 1_000;

const Delayed = z.object({
  delay_ms: z.int().min(1),
  state_key: z.string().optional(),
  content: JsonObject,
});
type Delayed = { delay_ms: number; state_key?: string | undefined; content: CanonicalObject };

const WithAction = z.object({ action: z.string().optional() });

/** What MSC4140 adds, both as the proposal says now and as clients are that use it. */
export const delayedEventEndpoints: readonly Endpoint[] = [
  userEndpoint<Delayed>({
    operation: "scheduleDelayedEvent",
    method: "PUT",
    path: `${MSC4140}/rooms/:roomId/delayed_event/:eventType/:txnId`,
    body: Delayed as z.ZodType<Delayed>,
    rate: "message",
    guests: true,
    async handle(hs, call) {
      const { requester, params, body } = call;
      const { delay_ms: delayMs, state_key: stateKey, content } = body;
      const type = params["eventType"] ?? "";
      if (stateKey !== undefined) countInvitation(hs, call, { type, content });
      const room = await requireRoom(hs, parseRoomId(params["roomId"] ?? ""));
      const txnId = parseTransactionId(params["txnId"] ?? "");
      const scheduled = { room, type, stateKey, content, txnId, delayMs };
      return { delay_id: await scheduleEvent(hs, requester, scheduled) };
    },
  }),
  // A token is not asked for: the ID is one, which may be given to whoever sees when a call has ended.
  openEndpoint<z.infer<typeof WithAction>>({
    auth: "none",
    operation: "manageDelayedEvent",
    method: "POST",
    path: [`${MSC4140}/delayed_events/:delayId/:action`, `${MSC4140}/delayed_events/:delayId`],
    body: WithAction,
    rate: "none",
    async handle(hs, { params, body, ip }) {
      const delayId = params["delayId"] ?? "";
      const action = params["action"] ?? body.action;
      if (!isAction(action)) throw noSuchAction(params["action"]);
      if (!(await delayedEventById(hs.sql, delayId))) {
        // Whoever guesses is slowed down, and counts as one, however many IDs they try.
        checkRate(hs, "delayed", { ip });
        throw new MatrixError("M_NOT_FOUND", "There is no such delayed event");
      }
      checkRate(hs, "delayed", { userId: delayId, ip: "" });
      await manageDelayedEvent(hs, delayId, action);
      return {};
    },
  }),
  userEndpoint({
    operation: "getDelayedEvents",
    method: "GET",
    path: `${MSC4140}/delayed_events`,
    guests: true,
    async handle(hs, { requester }) {
      const its = await delayedEventsOf(hs.sql, requester.userKey, { ended: false, limit: MOST });
      return { delayed_events: its.map(wireOf) };
    },
  }),
  userEndpoint({
    operation: "getDelayedEvent",
    method: "GET",
    path: `${MSC4140}/delayed_events/:delayId`,
    guests: true,
    async handle(hs, { requester, params }) {
      const delayId = params["delayId"] ?? "";
      if (delayId === "finalised") return { finalised_events: await endedOf(hs, requester) };
      const it = await delayedEventById(hs.sql, delayId);
      if (it?.userKey !== requester.userKey) {
        throw new MatrixError("M_NOT_FOUND", "You have no such delayed event");
      }
      return wireOf(it);
    },
  }),
];

function isAction(it: string | undefined): it is Action {
  return ACTIONS.some((action) => action === it);
}

function noSuchAction(inPath: string | undefined): MatrixError {
  if (inPath === undefined) return new MatrixError("M_INVALID_PARAM", "Unknown action");
  return new MatrixError("M_UNRECOGNIZED", "There is no such action");
}

/** What has ended, as an older text of the proposal has it. */
async function endedOf(hs: Homeserver, { userKey }: Requester): Promise<object[]> {
  const its = await delayedEventsOf(hs.sql, userKey, { ended: true, limit: MOST });
  return its.map((it) => ({
    delayed_event: wireOf(it),
    outcome: it.eventId === null ? "cancel" : "send",
    reason: reasonOf(it),
    ...(it.error !== null && { error: JSON.parse(it.error) as object }),
    ...(it.eventId !== null && { event_id: it.eventId }),
    origin_server_ts: it.endedMs,
  }));
}

function reasonOf({ error, eventId, endedMs, scheduledMs, delayMs }: DelayedEvent): string {
  if (error !== null) return "error";
  const wasDue = endedMs !== null && endedMs >= scheduledMs + delayMs;
  return eventId !== null && wasDue ? "delay" : "action";
}
