import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { findAccountData, NO_ROOM, removeAccountData, setAccountData } from "../account-data.ts";

const GLOBAL = "/_matrix/client/v3/user/:userId/account_data/:type";
const OF_ROOM = "/_matrix/client/v3/user/:userId/rooms/:roomId/account_data/:type";

const MSC3391 = "/_matrix/client/unstable/org.matrix.msc3391";
const UNSTABLE_GLOBAL = `${MSC3391}/user/:userId/account_data/:type`;
const UNSTABLE_OF_ROOM = `${MSC3391}/user/:userId/rooms/:roomId/account_data/:type`;

type Params = Readonly<Record<string, string>>;

/** The specification's `account-data.yaml`. */
export const accountDataEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "setAccountData",
    method: "PUT",
    path: GLOBAL,
    body: JsonObject,
    async handle(hs, { requester, params, body }) {
      checkSelf(requester, params);
      await setAccountData(hs, requester, NO_ROOM, { type: params["type"] ?? "", content: body });
      return {};
    },
  }),
  userEndpoint({
    operation: "getAccountData",
    method: "GET",
    path: GLOBAL,
    async handle(hs, { requester, params }) {
      checkSelf(requester, params);
      return await answer(hs, requester, NO_ROOM, params);
    },
  }),
  userEndpoint({
    operation: "setAccountDataPerRoom",
    method: "PUT",
    path: OF_ROOM,
    body: JsonObject,
    async handle(hs, { requester, params, body }) {
      checkSelf(requester, params);
      const roomKey = await roomKeyOf(hs, params);
      await setAccountData(hs, requester, roomKey, { type: params["type"] ?? "", content: body });
      return {};
    },
  }),
  userEndpoint({
    operation: "getAccountDataPerRoom",
    method: "GET",
    path: OF_ROOM,
    async handle(hs, { requester, params }) {
      checkSelf(requester, params);
      return await answer(hs, requester, await roomKeyOf(hs, params), params);
    },
  }),
  userEndpoint({
    operation: "deleteAccountData",
    method: "DELETE",
    path: UNSTABLE_GLOBAL,
    async handle(hs, { requester, params }) {
      checkSelf(requester, params);
      await removeAccountData(hs, requester, NO_ROOM, params["type"] ?? "");
      return {};
    },
  }),
  userEndpoint({
    operation: "deleteAccountDataPerRoom",
    method: "DELETE",
    path: UNSTABLE_OF_ROOM,
    async handle(hs, { requester, params }) {
      checkSelf(requester, params);
      await removeAccountData(hs, requester, await roomKeyOf(hs, params), params["type"] ?? "");
      return {};
    },
  }),
];

async function answer(
  hs: Homeserver,
  requester: Requester,
  roomKey: number,
  { type = "" }: Params,
): Promise<Response> {
  const content = await findAccountData(hs, requester, roomKey, type);
  if (content === undefined) throw new MatrixError("M_NOT_FOUND", "Account data not found");
  return jsonText(content);
}

/**
 * Account data is everybody's own.
 *
 * @throws MatrixError M_FORBIDDEN
 */
export function checkSelf(requester: Requester, { userId }: Params): void {
  if (requester.userId !== userId) {
    throw new MatrixError("M_FORBIDDEN", "The account data of other users is not yours");
  }
}

/**
 * The key of a room, of which the user need not be a member.
 *
 * @throws MatrixError M_INVALID_PARAM; M_NOT_FOUND for a room that we do not know.
 */
export async function roomKeyOf(hs: Homeserver, { roomId = "" }: Params): Promise<number> {
  const room = await findRoom(hs, parseRoomId(roomId));
  if (!room) throw new MatrixError("M_NOT_FOUND", "This server does not know the room");
  return room.roomKey;
}
