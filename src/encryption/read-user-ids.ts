import { parseUserId, type UserId } from "#src/kit/identifiers.ts";

/**
 * The entries of a map that a client sent by user ID.
 *
 * @throws MatrixError M_INVALID_PARAM if a key is no user ID.
 */
export function entriesByUser<T>(byUser: Readonly<Record<string, T>>): [UserId, T][] {
  return Object.entries(byUser).map(([userId, it]) => [parseUserId(userId), it]);
}
