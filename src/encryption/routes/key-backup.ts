import {
  type Call,
  type Endpoint,
  jsonPieces,
  jsonText,
  userEndpoint,
} from "#src/http/endpoint.ts";
import { withUnstable } from "#src/http/unstable-paths.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { removeSessions, storeSessions } from "../backed-up-sessions.ts";
import {
  BackedUpRoom,
  BackedUpRooms,
  BackedUpSession,
  BackupUpdate,
  BackupVersion,
} from "../key-backup-schemas.ts";
import { createBackup, getBackup, removeBackup, updateBackup } from "../key-backups.ts";
import { readSession, readSessions } from "../read-sessions.ts";

const VERSION = "/_matrix/client/v3/room_keys/version";
const KEYS = "/_matrix/client/v3/room_keys/keys";
const ROOM = `${KEYS}/:roomId`;
const SESSION = `${ROOM}/:sessionId`;

const versions: readonly Endpoint[] = [
  userEndpoint({
    operation: "postRoomKeysVersion",
    method: "POST",
    path: withUnstable(VERSION),
    body: BackupVersion,
    async handle(hs, { requester, body }) {
      return { version: await createBackup(hs, requester, body) };
    },
  }),
  userEndpoint({
    operation: "getRoomKeysVersionCurrent",
    method: "GET",
    path: withUnstable(VERSION),
    handle: async (hs, { requester }) => await getBackup(hs, requester),
  }),
  userEndpoint({
    operation: "getRoomKeysVersion",
    method: "GET",
    path: withUnstable(`${VERSION}/:version`),
    handle: async (hs, { requester, params }) => await getBackup(hs, requester, params["version"]),
  }),
  userEndpoint({
    operation: "putRoomKeysVersion",
    method: "PUT",
    path: withUnstable(`${VERSION}/:version`),
    body: BackupUpdate,
    async handle(hs, { requester, params, body }) {
      await updateBackup(hs, requester, { version: params["version"] ?? "", update: body });
      return {};
    },
  }),
  userEndpoint({
    operation: "deleteRoomKeysVersion",
    method: "DELETE",
    path: withUnstable(`${VERSION}/:version`),
    async handle(hs, { requester, params }) {
      await removeBackup(hs, requester, params["version"] ?? "");
      return {};
    },
  }),
];

const storing: readonly Endpoint[] = [
  userEndpoint({
    operation: "putRoomKeys",
    method: "PUT",
    path: withUnstable(KEYS),
    body: BackedUpRooms,
    handle: async (hs, call) =>
      await storeSessions(hs, call.requester, { version: versionOf(call), rooms: call.body.rooms }),
  }),
  userEndpoint({
    operation: "putRoomKeysByRoomId",
    method: "PUT",
    path: withUnstable(ROOM),
    body: BackedUpRoom,
    async handle(hs, call) {
      const rooms = { [roomIdOf(call)]: call.body };
      return await storeSessions(hs, call.requester, { version: versionOf(call), rooms });
    },
  }),
  userEndpoint({
    operation: "putRoomKeyBySessionId",
    method: "PUT",
    path: withUnstable(SESSION),
    body: BackedUpSession,
    async handle(hs, call) {
      const sessions = Object.fromEntries([[call.params["sessionId"] ?? "", call.body]]);
      const rooms = { [roomIdOf(call)]: { sessions } };
      return await storeSessions(hs, call.requester, { version: versionOf(call), rooms });
    },
  }),
];

const reading: readonly Endpoint[] = [
  userEndpoint({
    operation: "getRoomKeys",
    method: "GET",
    path: withUnstable(KEYS),
    async handle(hs, call) {
      return jsonPieces(await readSessions(hs, call.requester, { version: versionOf(call) }));
    },
  }),
  userEndpoint({
    operation: "getRoomKeysByRoomId",
    method: "GET",
    path: withUnstable(ROOM),
    async handle(hs, call) {
      const which = { roomId: roomIdOf(call), version: versionOf(call) };
      return jsonPieces(await readSessions(hs, call.requester, which));
    },
  }),
  userEndpoint({
    operation: "getRoomKeyBySessionId",
    method: "GET",
    path: withUnstable(SESSION),
    async handle(hs, call) {
      const { sessionId = "" } = call.params;
      const which = { roomId: roomIdOf(call), version: versionOf(call), sessionId };
      return jsonText(await readSession(hs, call.requester, which));
    },
  }),
];

/** One of the three that differ in how many keys they delete. */
function deletion(operation: DeletionOperation, path: string): Endpoint {
  return userEndpoint({
    operation,
    method: "DELETE",
    path: withUnstable(path),
    async handle(hs, call) {
      const { sessionId } = call.params;
      const roomId = path === KEYS ? undefined : roomIdOf(call);
      const which = { version: versionOf(call), roomId, sessionId };
      return await removeSessions(hs, call.requester, which);
    },
  });
}

type DeletionOperation = "deleteRoomKeys" | "deleteRoomKeysByRoomId" | "deleteRoomKeyBySessionId";

/** The specification's `key_backup.yaml`. */
export const keyBackupEndpoints: readonly Endpoint[] = [
  ...versions,
  ...storing,
  ...reading,
  deletion("deleteRoomKeys", KEYS),
  deletion("deleteRoomKeysByRoomId", ROOM),
  deletion("deleteRoomKeyBySessionId", SESSION),
];

/** @throws MatrixError M_MISSING_PARAM */
function versionOf({ query }: Pick<Call<unknown, Requester>, "query">): string {
  const version = query.get("version");
  if (version === null) throw new MatrixError("M_MISSING_PARAM", "The version is needed");
  return version;
}

/** @throws MatrixError M_INVALID_PARAM */
function roomIdOf({ params }: Pick<Call<unknown, Requester>, "params">) {
  return parseRoomId(params["roomId"] ?? "");
}
