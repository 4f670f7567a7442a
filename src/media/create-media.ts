import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { lockUser } from "#src/rooms/user-keys.ts";
import { type Mxc, newMediaId } from "./mxc.ts";
import { insertPendingMedia } from "./queries-media.ts";
import { requireRoom } from "./require-room.ts";

/** How long a URI waits for its file: as long as the specification recommends. */
const UNUSED_MS = 24 * 60 * 60 * 1000;

/** When somebody who has too many unused URIs may try again. */
const RETRY_MS = 60_000;

/**
 * Gives out a URI whose file is uploaded later.
 *
 * @returns it, and until when that has to be done.
 * @throws MatrixError M_LIMIT_EXCEEDED if the user has too many that wait for their files; M_FORBIDDEN if the
 *   user has uploaded as much as one may.
 * @spec client-server-api#post_matrixmediav1create
 */
export async function createMedia(
  hs: Homeserver,
  requester: Requester,
): Promise<{ mxc: Mxc; expiresAtMs: UnixMs }> {
  await requireRoom(hs, requester, 1);
  const now = hs.now();
  const mxc: Mxc = { origin: hs.name, mediaId: newMediaId() };
  const expiresAtMs = now + UNUSED_MS;
  const { userKey: uploaderKey } = requester;
  const limit = hs.config.media.maxPendingUploads;
  const created = await hs.sql.begin(async (tx) => {
    await lockUser(tx, uploaderKey);
    return await insertPendingMedia(tx, mxc, { uploaderKey, now, expiresAtMs, limit });
  });
  if (!created) {
    throw new MatrixError("M_LIMIT_EXCEEDED", "Too many media are waiting to be uploaded", {
      fields: { retry_after_ms: RETRY_MS },
    });
  }
  return { mxc, expiresAtMs };
}
