import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { write } from "#src/streams/write.ts";
import { presenceStream } from "./presence-stream.ts";
import type { PresenceState } from "./presence.ts";

/** The most characters that users say of it. */
const MOST_CHARACTERS = 1_000;

/**
 * Says of a user of this server whether they are there.
 *
 * @throws MatrixError M_INVALID_PARAM of a message that is too long.
 * @spec client-server-api#put_matrixclientv3presenceuseridstatus
 */
export async function setPresence(
  hs: Homeserver,
  { userKey }: { readonly userKey: number },
  { state, statusMsg }: { readonly state: PresenceState; readonly statusMsg: string | undefined },
): Promise<void> {
  if (!hs.config.presence.enabled) return;
  if (statusMsg !== undefined && (statusMsg.length > MOST_CHARACTERS || statusMsg.includes("\0"))) {
    throw new MatrixError(
      "M_INVALID_PARAM",
      `status_msg has at most ${MOST_CHARACTERS} characters`,
    );
  }
  const act = { kind: "say", state, statusMsg } as const;
  await write(hs, presenceStream, { userKey, local: true, act, now: hs.now() });
}
