import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { PublicRoomsPage, PublicRoomsQuestion } from "./public-rooms.ts";
import type { PublishedRoom } from "./room-summary.ts";
import { TOLD_SUMMARY, withoutUndefined } from "./told-summary.ts";

/** How long a client waits for another server. */
const TIMEOUT_MS = 20_000;

const Entry = z.object({ ...TOLD_SUMMARY, num_joined_members: z.int() });

/**
 * A page of another server's directory.
 *
 * @throws MatrixError M_FORBIDDEN if the server shows it to nobody; M_UNKNOWN (502) if it does not answer.
 * @spec server-server-api#post_matrixfederationv1publicrooms
 */
export async function remotePublicRooms(
  hs: Homeserver,
  server: ServerName,
  { limit, since, searchTerm, roomTypes }: PublicRoomsQuestion,
): Promise<PublicRoomsPage> {
  const page = { ...(limit !== undefined && { limit }), ...(since !== undefined && { since }) };
  const filter = {
    ...(searchTerm !== undefined && { generic_search_term: searchTerm }),
    ...(roomTypes && { room_types: roomTypes }),
  };
  const options = { timeoutMs: TIMEOUT_MS };
  const answer =
    Object.keys(filter).length === 0
      ? await hs.remotes.getPublicRooms(server, page, options)
      : await hs.remotes.queryPublicRooms(server, { ...page, filter }, options);
  if (answer.ok) {
    const { chunk, ...rest } = answer.body;
    return { ...rest, chunk: chunk.flatMap(readEntry) };
  }
  if (answer.why === "refused" && answer.status === 403) {
    throw new MatrixError("M_FORBIDDEN", "This server does not show its rooms");
  }
  throw new MatrixError("M_UNKNOWN", "The server does not answer", { status: 502 });
}

function readEntry(value: unknown): PublishedRoom[] {
  const entry = Entry.safeParse(value).data;
  if (!entry) return [];
  try {
    const { room_id, ...rest } = entry;
    return [{ ...withoutUndefined(rest), room_id: parseRoomId(room_id) }];
  } catch {
    // An entry of a room that nobody could join.
    return [];
  }
}
