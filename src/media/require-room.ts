import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { usageOf } from "./queries-media.ts";

/**
 * Sees whether a user may upload one more file. Requests at the very same moment may together go over the quota.
 *
 * @param sizeBytes its size, as far as it is known.
 * @throws MatrixError M_FORBIDDEN if the user has uploaded as much as one may.
 * @spec client-server-api#post_matrixmediav3upload
 */
export async function requireRoom(
  hs: Homeserver,
  { userKey }: Requester,
  sizeBytes: number,
): Promise<void> {
  const { maxUserFiles, maxUserBytes } = hs.config.media;
  if (maxUserFiles === null && maxUserBytes === null) return;
  const { files, bytes } = await usageOf(hs.sql, userKey);
  if (maxUserFiles !== null && files >= maxUserFiles) {
    throw new MatrixError("M_FORBIDDEN", `You have uploaded ${files} files, and may no more`);
  }
  if (maxUserBytes !== null && bytes + sizeBytes > maxUserBytes) {
    const left = Math.max(0, maxUserBytes - bytes);
    throw new MatrixError("M_FORBIDDEN", `You may upload only ${left} bytes more`);
  }
}
