import type { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { receivePresence } from "#src/presence/receive-presence.ts";
import { isOf, type PresenceContent } from "./edu-schemas.ts";

/** Takes in whether users of a server are there. */
export async function receivePresenceEdus(
  hs: Homeserver,
  origin: ServerName,
  contents: readonly z.infer<typeof PresenceContent>[],
): Promise<void> {
  const said = contents
    .flatMap((it) => it.push)
    .filter((it) => it !== null)
    .filter((it) => isOf(origin, it.user_id));
  // Of several about one user the last counts.
  const last = new Map(said.map((it) => [it.user_id, it]));
  await receivePresence(
    hs,
    [...last.values()].map(({ user_id, presence, status_msg, last_active_ago }) => ({
      userId: user_id,
      state: presence,
      statusMsg: status_msg ?? undefined,
      lastActiveAgoMs: last_active_ago ?? 0,
    })),
  );
}
