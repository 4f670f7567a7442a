import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { pushRulesOf, type Owner } from "#src/push-rules/stored-push-rules.ts";
import { write } from "#src/streams/write.ts";
import { accountDataStream } from "./account-data-stream.ts";
import {
  accountDataContent,
  type AccountDataKey,
  accountDataOfUser,
  deleteAccountData,
  otherAccountDataBytes,
} from "./queries-account-data.ts";

/** The room key of what concerns no room. */
export const NO_ROOM = 0;

/** The type under which clients see the push rules, which are stored elsewhere. */
export const PUSH_RULES_TYPE = "m.push_rules";

export const FULLY_READ_TYPE = "m.fully_read";

/** What only the server itself may set. @spec client-server-api#client-config */
const OF_THE_SERVER = new Set([PUSH_RULES_TYPE, FULLY_READ_TYPE]);

/** What is empty is deleted (MSC3391). It stays, so that clients that have been away hear of it. */
export const DELETED = "{}";

/** The most that one piece of account data may take, as JSON. */
const MOST_CHARACTERS = 1024 * 1024;
const MOST_TYPE_BYTES = 255;

/** The most that all account data of a user may take: a first sync brings it all at once. */
const MOST_BYTES_IN_ALL = 32 * 1024 * 1024;

/**
 * A user's account data as JSON; undefined if none has been set.
 *
 * @param roomKey of a room, or `NO_ROOM`.
 */
export async function findAccountData(
  hs: Homeserver,
  owner: Owner,
  roomKey: number,
  type: string,
): Promise<string | undefined> {
  if (type === PUSH_RULES_TYPE && roomKey === NO_ROOM) {
    return JSON.stringify({ global: await pushRulesOf(hs, owner) });
  }
  const content = await accountDataContent(hs.sql, { userKey: owner.userKey, roomKey, type });
  return content === DELETED ? undefined : content;
}

/** What a user has set of a room, as clients get it. */
export async function accountDataOfRoom(
  hs: Homeserver,
  { userKey }: Pick<Owner, "userKey">,
  roomKey: number,
): Promise<readonly { readonly type: string; readonly content: object }[]> {
  const rows = await accountDataOfUser(hs.sql, userKey, {
    after: Number.MAX_SAFE_INTEGER,
    newRooms: [roomKey],
  });
  return rows
    .filter((it) => it.content !== DELETED)
    .map((it) => ({ type: it.type, content: JSON.parse(it.content) as object }));
}

/** Deletes a user's account data. Clients hear of it as of an empty object. @throws MatrixError as `setAccountData` does. */
export async function removeAccountData(
  hs: Homeserver,
  owner: Pick<Owner, "userKey">,
  roomKey: number,
  type: string,
): Promise<void> {
  await setAccountData(hs, owner, roomKey, { type, content: {} });
}

/**
 * Sets a user's account data, for all rooms (`NO_ROOM`) or for one.
 *
 * @throws MatrixError M_BAD_JSON with status 405 for a type that only the server sets; M_TOO_LARGE.
 * @spec client-server-api#put_matrixclientv3useruseridaccount_datatype
 */
export async function setAccountData(
  hs: Homeserver,
  { userKey }: Pick<Owner, "userKey">,
  roomKey: number,
  { type, content }: { readonly type: string; readonly content: object },
): Promise<void> {
  if (OF_THE_SERVER.has(type)) {
    throw new MatrixError("M_BAD_JSON", `${type} cannot be set through this API`, { status: 405 });
  }
  if (type === "" || type.includes("\0") || Buffer.byteLength(type) > MOST_TYPE_BYTES) {
    throw new MatrixError("M_INVALID_PARAM", `A type has from 1 to ${MOST_TYPE_BYTES} bytes`);
  }
  const json = JSON.stringify(content);
  if (json.length > MOST_CHARACTERS) {
    throw new MatrixError("M_TOO_LARGE", `Account data has at most ${MOST_CHARACTERS} characters`);
  }
  await requireSpace(hs, { userKey, roomKey, type }, Buffer.byteLength(json));
  await write(hs, accountDataStream, { userKey, roomKey, type, content });
}

/**
 * Changes a piece of a user's account data as it is when its turn comes.
 *
 * @param change the new content; undefined leaves it.
 * @throws MatrixError M_TOO_LARGE
 */
export async function changeAccountData(
  hs: Homeserver,
  { userKey }: Pick<Owner, "userKey">,
  { roomKey, type }: Pick<AccountDataKey, "roomKey" | "type">,
  change: (current: unknown) => object | undefined,
): Promise<void> {
  const key = { userKey, roomKey, type };
  const content = await accountDataContent(hs.sql, key);
  if (!change(content === undefined ? undefined : JSON.parse(content))) return;
  await requireSpace(hs, key, MOST_CHARACTERS);
  await write(hs, accountDataStream, { ...key, change });
}

/**
 * Refuses to store a piece of account data if its user has stored as much as one may. What is under way
 * at the same moment is not counted.
 *
 * @throws MatrixError M_TOO_LARGE
 */
export async function requireSpace(
  hs: Homeserver,
  key: AccountDataKey,
  bytes: number,
): Promise<void> {
  if ((await otherAccountDataBytes(hs.sql, key)) + bytes <= MOST_BYTES_IN_ALL) return;
  throw new MatrixError("M_TOO_LARGE", `All account data has at most ${MOST_BYTES_IN_ALL} bytes`);
}

/** Forgets all account data of a user whose account has ended. */
export async function forgetAccountData(hs: Homeserver, userKey: number): Promise<void> {
  await deleteAccountData(hs.sql, userKey);
}
