import { relationOf, threadRootOf } from "#src/events/threads.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { findEvent } from "./find-event.ts";
import type { Room } from "./find-room.ts";

/**
 * Refuses an event in a thread whose root is not one, since that relates to another event itself.
 *
 * @throws MatrixError M_UNKNOWN with status 400
 * @spec client-server-api#validation-of-mthread-relationships
 */
export async function requireThreadRoot(
  hs: Homeserver,
  { roomKey }: Room,
  content: CanonicalObject,
): Promise<void> {
  const rootId = threadRootOf(content);
  if (rootId === undefined) return;
  const root = await findEvent(hs, rootId);
  // Of what is in other rooms nobody is told anything.
  if (root?.roomKey !== roomKey) return;
  if (root.redactedBy !== undefined || !relationOf(root.content)) return;
  throw new MatrixError("M_UNKNOWN", "No thread begins at an event that relates to another", {
    status: 400,
  });
}
