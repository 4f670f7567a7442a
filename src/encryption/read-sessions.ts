import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { type BackupOwner, unknownVersion, versionNumber } from "./key-backups.ts";
import { findBackup, findSession, type SessionRow, sessionsAfter } from "./queries-key-backups.ts";

/** How many sessions are in memory at a time. */
const PAGE = 250;

/**
 * All keys in a version, or those of a room, as JSON in pieces: people have hundreds of thousands. Each
 * piece is read when the one before has been taken.
 *
 * @throws MatrixError M_NOT_FOUND if there is no such version.
 * @spec client-server-api#get_matrixclientv3room_keyskeys
 */
export async function readSessions(
  hs: Homeserver,
  { userKey }: BackupOwner,
  { version, roomId }: { readonly version: string; readonly roomId?: RoomId },
): Promise<AsyncGenerator<string>> {
  const number = versionNumber(version);
  if (!(await findBackup(hs.sql, userKey, number))) throw unknownVersion();
  const next = async (after: SessionRow | undefined) =>
    await sessionsAfter(hs.sql, { userKey, version: number, roomId }, { after, limit: PAGE });
  // What can go wrong goes wrong before the answer has begun, or hardly ever.
  const first = await next(undefined);
  const pages = pagesFrom(first, next);
  return roomId === undefined ? textOfRooms(pages) : textOfRoom(pages);
}

/**
 * The keys of one session in a version, as JSON.
 *
 * @throws MatrixError M_NOT_FOUND if there is no such version, or nothing of the session in it.
 * @spec client-server-api#get_matrixclientv3room_keyskeysroomidsessionid
 */
export async function readSession(
  hs: Homeserver,
  { userKey }: BackupOwner,
  which: { readonly version: string; readonly roomId: RoomId; readonly sessionId: string },
): Promise<string> {
  const version = versionNumber(which.version);
  const [backup, row] = await Promise.all([
    findBackup(hs.sql, userKey, version),
    findSession(hs.sql, { ...which, userKey, version }),
  ]);
  if (!backup) throw unknownVersion();
  if (!row) throw new MatrixError("M_NOT_FOUND", "The backup has no key of this session");
  return textOfSession(row);
}

type Page = readonly SessionRow[];

async function* pagesFrom(
  first: Page,
  next: (after: SessionRow | undefined) => Promise<Page>,
): AsyncGenerator<Page> {
  let page = first;
  while (page.length > 0) {
    yield page;
    if (page.length < PAGE) return;
    // One after the other, or all of them would be in memory.
    // oxlint-disable-next-line no-await-in-loop
    page = await next(page.at(-1));
  }
}

async function* textOfRooms(pages: AsyncGenerator<Page>): AsyncGenerator<string> {
  yield '{"rooms":{';
  let room: RoomId | undefined;
  for await (const page of pages) {
    let text = "";
    for (const row of page) {
      if (row.roomId === room) text += ",";
      else text += `${room === undefined ? "" : "}},"}${JSON.stringify(row.roomId)}:{"sessions":{`;
      text += textOfEntry(row);
      room = row.roomId;
    }
    yield text;
  }
  yield room === undefined ? "}}" : "}}}}";
}

async function* textOfRoom(pages: AsyncGenerator<Page>): AsyncGenerator<string> {
  yield '{"sessions":{';
  let separator = "";
  for await (const page of pages) {
    yield separator + page.map(textOfEntry).join(",");
    separator = ",";
  }
  yield "}}";
}

function textOfEntry(row: SessionRow): string {
  return `${JSON.stringify(row.sessionId)}:${textOfSession(row)}`;
}

/** The data is stored as JSON already, and is most of it. */
function textOfSession(row: SessionRow): string {
  const { firstMessageIndex, forwardedCount, isVerified, sessionData } = row;
  return `{"first_message_index":${firstMessageIndex},"forwarded_count":${forwardedCount},"is_verified":${isVerified},"session_data":${sessionData}}`;
}
