import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId, type RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { allStateAt, statesAt } from "#src/rooms/current-state.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { findRoom, roomsByKeys } from "#src/rooms/find-room.ts";
import { forbidden, membersOfRoom, roomsOfUser } from "#src/rooms/memberships.ts";
import { membersKnown } from "#src/rooms/partial/partial-rooms.ts";
import { renderEvents } from "#src/rooms/render-events.ts";
import { shownContent } from "#src/rooms/shown-content.ts";
import { pairKey } from "#src/rooms/state-slots.ts";
import { requireVisibleAt } from "../require-visible-at.ts";
import { rootAt } from "../root-at.ts";
import { placeOf } from "../token.ts";
import { shownIn, viewOfRoom } from "../view-of-room.ts";

/** A state key may be empty, and then be left out of the path, slash and all. */
export const STATE_PATHS = [
  "/_matrix/client/v3/rooms/:roomId/state/:eventType/:stateKey{.*}",
  "/_matrix/client/v3/rooms/:roomId/state/:eventType",
];

/** The specification's `rooms.yaml`, `room_state.yaml` and `list_joined_rooms.yaml`. */
export const roomsEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getRoomStateWithKey",
    method: "GET",
    path: STATE_PATHS,
    guests: true,
    async handle(hs, { requester, params, query }) {
      const pair = [params["eventType"] ?? "", params["stateKey"] ?? ""] as const;
      const roomId = parseRoomId(params["roomId"] ?? "");
      if (pair[0] === "m.room.member" && pair[1] !== requester.userId) await known(hs, roomId);
      const view = await viewOfRoom(hs, requester, roomId);
      const event = (await statesAt(hs, view.root, [pair])).get(pairKey(...pair));
      if (!event) throw new MatrixError("M_NOT_FOUND", "The room has no such state");
      const [text = "{}"] = await renderEvents(hs, [event], requester, shownIn(view));
      if (query.get("format") === "event") return jsonText(text);
      const { content } = JSON.parse(text) as { content: object };
      return content;
    },
  }),
  userEndpoint({
    operation: "getRoomState",
    method: "GET",
    path: "/_matrix/client/v3/rooms/:roomId/state",
    guests: true,
    async handle(hs, { requester, params }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      await known(hs, roomId);
      const view = await viewOfRoom(hs, requester, roomId);
      const texts = await renderEvents(
        hs,
        await allStateAt(hs, view.root),
        requester,
        shownIn(view),
      );
      return jsonText(`[${texts.join(",")}]`);
    },
  }),
  userEndpoint({
    operation: "getMembersByRoom",
    method: "GET",
    path: "/_matrix/client/v3/rooms/:roomId/members",
    guests: true,
    async handle(hs, { requester, params, query }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      await known(hs, roomId);
      const view = await viewOfRoom(hs, requester, roomId);
      const at = query.get("at");
      const place = at === null ? undefined : placeOf(at);
      const isThen = place && (view.until === undefined || place.anchor < view.until);
      if (isThen) await requireVisibleAt(hs, requester, view, place);
      const root = isThen ? await rootAt(hs, view.room.roomKey, place) : view.root;
      const isWanted = membershipFilter(query);
      const members = (await allStateAt(hs, root)).filter(
        (it) => it.type === "m.room.member" && isWanted(it.content["membership"]),
      );
      const texts = await renderEvents(hs, members, requester, shownIn(view));
      return jsonText(`{"chunk":[${texts.join(",")}]}`);
    },
  }),
  userEndpoint({
    operation: "getJoinedMembersByRoom",
    method: "GET",
    path: "/_matrix/client/v3/rooms/:roomId/joined_members",
    async handle(hs, { requester, params }) {
      const { room, until } = await viewOfRoom(hs, requester, parseRoomId(params["roomId"] ?? ""));
      // Who may read the room as it is now reads in its state who is in it, and clients look at rooms so before they join.
      if (until !== undefined) throw forbidden();
      await membersKnown(hs, room.roomKey);
      const members = await membersOfRoom(hs, room.roomKey, ["join"]);
      const events = await eventsOf(
        hs,
        members.map((it) => it.eventKey),
      );
      const joined = members.map(({ userId, eventKey }) => {
        const event = events.get(eventKey);
        const { displayname, avatar_url } = event ? shownContent(event, room.rules) : {};
        const profile = {
          ...(typeof displayname === "string" && { display_name: displayname }),
          ...(typeof avatar_url === "string" && { avatar_url }),
        };
        return [userId, profile] as const;
      });
      return { joined: Object.fromEntries(joined) };
    },
  }),
  userEndpoint({
    operation: "getJoinedRooms",
    method: "GET",
    path: "/_matrix/client/v3/joined_rooms",
    async handle(hs, { requester }) {
      const joined = await roomsOfUser(hs, requester.userKey, ["join"]);
      const rooms = await roomsByKeys(
        hs,
        joined.map((it) => it.roomKey),
      );
      return { joined_rooms: [...rooms.values()].map((it) => it.roomId) };
    },
  }),
];

/** Waits until all of a room's state is known, of which a client is to be told all. */
async function known(hs: Homeserver, roomId: RoomId): Promise<void> {
  const room = await findRoom(hs, roomId);
  if (room) await membersKnown(hs, room.roomKey);
}

/**
 * Which memberships are asked for: both parameters together ask for what either asks for.
 *
 * @spec client-server-api#get_matrixclientv3roomsroomidmembers
 */
function membershipFilter(query: URLSearchParams): (membership: unknown) => boolean {
  // Some clients send both always, and leave empty what is not asked for.
  const wanted = query.get("membership") || undefined;
  const unwanted = query.get("not_membership") || undefined;
  if (wanted === undefined && unwanted === undefined) return () => true;
  return (it) => it === wanted || (unwanted !== undefined && it !== unwanted);
}
