import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { parseUserId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/**
 * A user about whom another server asks: one of ours.
 *
 * @throws MatrixError M_INVALID_PARAM if it is no user ID, or another server's.
 */
export function requireLocalUser(hs: Homeserver, text: string): UserId {
  const userId = parseUserId(text);
  if (serverNameOf(userId) === hs.name) return userId;
  throw new MatrixError("M_INVALID_PARAM", "The user is not of this server");
}
