import { accountDataOfRoom } from "#src/account-data/account-data.ts";
import { visibilityOfRoom } from "#src/directory/set-visibility.ts";
import { type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import { parseEventId, parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { allStateAt } from "#src/rooms/current-state.ts";
import { findEvent } from "#src/rooms/find-event.ts";
import { roomsByKeys } from "#src/rooms/find-room.ts";
import { renderEvents } from "#src/rooms/render-events.ts";
import { currentPosition } from "#src/streams/tail.ts";
import { asNotFound } from "#src/timeline/page-parameters.ts";
import { readEvent } from "#src/timeline/read-context.ts";
import { readMessages } from "#src/timeline/read-messages.ts";
import { renderAggregated } from "#src/timeline/render-aggregated.ts";
import { placeBefore, tokenOf } from "#src/timeline/token.ts";
import { shownIn, viewOfRoom } from "#src/timeline/view-of-room.ts";
import { limitOf } from "./read-query.ts";

const LIMITS = { standard: 20, most: 100 };

/** The specification's `room_initial_sync.yaml`, by which clients look into rooms that they are not in; and the single event of `old_sync.yaml`. */
export const roomInitialSyncEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "roomInitialSync",
    method: "GET",
    path: "/_matrix/client/v3/rooms/:roomId/initialSync",
    guests: true,
    async handle(hs, { requester, params, query }) {
      const view = await viewOfRoom(hs, requester, parseRoomId(params["roomId"] ?? ""));
      const { room, root, standing } = view;
      const end = { anchor: view.until ?? (await currentPosition(hs)), offset: 0 };
      const limit = limitOf(query, LIMITS);
      const page = { direction: "b", from: end, to: undefined, limit, filter: undefined } as const;
      const { events } = await readMessages(hs, requester, view, page);
      const oldestFirst = events.toReversed();
      const [chunk, state, visibility, accountData] = await Promise.all([
        renderAggregated(hs, oldestFirst, requester, shownIn(view)),
        renderEvents(hs, await allStateAt(hs, root), requester, shownIn(view)),
        visibilityOfRoom(hs, room.roomId),
        accountDataOfRoom(hs, requester, room.roomKey),
      ]);
      const [oldest] = oldestFirst;
      const start = oldest ? placeBefore(oldest.anchor ?? 0, oldest.anchorOffset) : end;
      const rest = JSON.stringify({
        room_id: room.roomId,
        ...(standing && { membership: standing.membership }),
        visibility,
        account_data: accountData,
      }).slice(1);
      return jsonText(
        `{"messages":{"chunk":[${chunk.join(",")}],"start":${JSON.stringify(tokenOf(start))},` +
          `"end":${JSON.stringify(tokenOf(end))}},"state":[${state.join(",")}],${rest}`,
      );
    },
  }),
  userEndpoint({
    operation: "getOneEvent",
    method: "GET",
    path: "/_matrix/client/v3/events/:eventId",
    async handle(hs, { requester, params }) {
      const eventId = parseEventId(params["eventId"] ?? "");
      const found = await findEvent(hs, eventId);
      const room = found && (await roomsByKeys(hs, [found.roomKey])).get(found.roomKey);
      if (!room) throw new MatrixError("M_NOT_FOUND", "There is no such event");
      const view = await viewOfRoom(hs, requester, room.roomId).catch(asNotFound);
      const event = await readEvent(hs, requester, view, eventId);
      const [text = "{}"] = await renderAggregated(hs, [event], requester, shownIn(view));
      return jsonText(text);
    },
  }),
];
