import { filterFromText } from "#src/filters/filter-from-text.ts";
import { limitOf, RoomEventFilter } from "#src/filters/filter.ts";
import { matchesRoomEventFilter, matchesRooms } from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import { parseEventId, parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { wholeNumber } from "#src/kit/whole-number.ts";
import { allStateAt } from "#src/rooms/current-state.ts";
import { renderEvents } from "#src/rooms/render-events.ts";
import { requireModerator } from "#src/rooms/require-moderator.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { memberStates } from "../member-states.ts";
import { asNotFound, placeIn } from "../page-parameters.ts";
import { readContext, readEvent } from "../read-context.ts";
import { type PageRequest, readMessages } from "../read-messages.ts";
import { renderAggregated } from "../render-aggregated.ts";
import { type Place, tokenOf } from "../token.ts";
import { type RoomView, shownIn, viewOfRoom } from "../view-of-room.ts";

const LIMITS = { standard: 10, most: 1000 };

/** The specification's `message_pagination.yaml`, `event_context.yaml` and `rooms.yaml`'s single event. */
export const messagePaginationEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getRoomEvents",
    method: "GET",
    path: "/_matrix/client/v3/rooms/:roomId/messages",
    guests: true,
    async handle(hs, { requester, params, query }) {
      const view = await viewOfRoom(hs, requester, parseRoomId(params["roomId"] ?? ""));
      const request = pageRequestOf(query);
      const { filter, direction, from } = request;
      const { events, related, end } = await readMessages(hs, requester, view, request);
      const members = filter?.lazy_load_members
        ? await memberStates(hs, newestOf(request, events)?.stateAfter ?? view.root, events)
        : [];
      const shown = shownIn(view);
      const [chunk, state] = await Promise.all([
        renderAggregated(hs, events, requester, { ...shown, aggregated: related }),
        renderEvents(hs, members, requester, shown),
      ]);
      const start = from ?? startOf(direction, events[0], view.until);
      return jsonText(
        `{"chunk":[${chunk.join(",")}],"start":${JSON.stringify(tokenOf(start))}` +
          (end ? `,"end":${JSON.stringify(tokenOf(end))}` : "") +
          (state.length > 0 ? `,"state":[${state.join(",")}]` : "") +
          "}",
      );
    },
  }),
  userEndpoint({
    operation: "getEventContext",
    method: "GET",
    path: "/_matrix/client/v3/rooms/:roomId/context/:eventId",
    guests: true,
    async handle(hs, { requester, params, query }) {
      const view = await viewOfRoom(hs, requester, parseRoomId(params["roomId"] ?? ""));
      const filter = filterOf(query.get("filter"));
      const eventId = parseEventId(params["eventId"] ?? "");
      const limit = Math.min(wholeNumber(query, "limit") ?? LIMITS.standard, 100);
      const context = await readContext(hs, requester, view, { eventId, limit, filter });
      const around = [...context.before, context.event, ...context.after];
      const root = (context.after.at(-1) ?? context.event).stateAfter ?? view.root;
      const state = await contextState(hs, root, { view, around, filter });
      const shown = shownIn(view);
      const texts = await renderAggregated(hs, around, requester, shown);
      const at = context.before.length;
      const states = await renderEvents(hs, state, requester, shown);
      return jsonText(
        `{"event":${texts[at]},"events_before":[${texts.slice(0, at).join(",")}],` +
          `"events_after":[${texts.slice(at + 1).join(",")}],"state":[${states.join(",")}],` +
          `"start":${JSON.stringify(tokenOf(context.start))},"end":${JSON.stringify(tokenOf(context.end))}}`,
      );
    },
  }),
  userEndpoint({
    operation: "getOneRoomEvent",
    method: "GET",
    path: "/_matrix/client/v3/rooms/:roomId/event/:eventId",
    guests: true,
    async handle(hs, { requester, params, query }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      const view = await viewOfRoom(hs, requester, roomId).catch(asNotFound);
      const event = await readEvent(hs, requester, view, parseEventId(params["eventId"] ?? ""));
      const whole = query.get("fi.mau.msc2815.include_unredacted_content") === "true";
      if (whole) await requireModerator(hs, requester, view.room);
      const [text = "{}"] = await renderAggregated(hs, [event], requester, {
        ...shownIn(view),
        ...(whole && { unredacted: new Set([event]) }),
      });
      return jsonText(text);
    },
  }),
];

/** The state around an event, as far as the filter wants it. */
async function contextState(
  hs: Homeserver,
  root: number,
  {
    view,
    around,
    filter,
  }: {
    view: RoomView;
    around: readonly StoredEvent[];
    filter: RoomEventFilter | undefined;
  },
): Promise<readonly StoredEvent[]> {
  if (!matchesRooms(filter, view.room.roomId)) return [];
  const all = (await allStateAt(hs, root)).filter((it) => matchesRoomEventFilter(filter, it));
  if (!filter?.lazy_load_members) return all;
  const others = all.filter((it) => it.type !== "m.room.member");
  return [...(await memberStates(hs, root, around)), ...others];
}

/** The newest event of a page. */
function newestOf(
  { direction }: PageRequest,
  events: readonly StoredEvent[],
): StoredEvent | undefined {
  return direction === "b" ? events[0] : events.at(-1);
}

/** Where a page begins whose reader has not said where. */
function startOf(
  direction: "b" | "f",
  first: StoredEvent | undefined,
  until: number | undefined,
): Place {
  if (direction === "f") return { anchor: 0, offset: 0 };
  return { anchor: first?.anchor ?? until ?? 0, offset: first?.anchorOffset ?? 0 };
}

/** @throws MatrixError M_MISSING_PARAM, M_INVALID_PARAM */
function pageRequestOf(query: URLSearchParams): PageRequest {
  const direction = query.get("dir");
  if (direction === null) throw new MatrixError("M_MISSING_PARAM", "dir is missing");
  if (direction !== "b" && direction !== "f") {
    throw new MatrixError("M_INVALID_PARAM", "dir must be b or f");
  }
  const filter = filterOf(query.get("filter"));
  const limit = pageSize(query, filter);
  return { direction, from: placeIn(query, "from"), to: placeIn(query, "to"), limit, filter };
}

/** @throws MatrixError M_INVALID_PARAM */
function filterOf(text: string | null): RoomEventFilter | undefined {
  return text === null || text === "" ? undefined : filterFromText(RoomEventFilter, text);
}

function pageSize(query: URLSearchParams, filter: RoomEventFilter | undefined): number {
  const asked = wholeNumber(query, "limit");
  return Math.max(1, limitOf(asked === undefined ? filter : { limit: asked }, LIMITS));
}
