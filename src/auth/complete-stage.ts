import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";
import type { AuthData } from "./auth-data.ts";
import { findSession, lockSession, updateSession } from "./queries-uia.ts";
import { type Stage, tryStage } from "./uia-stages.ts";

/** Of a session whose stage was completed on a page of ours: which request it is for is not known yet. */
const ANY_BODY = Buffer.alloc(0);

const Completed = z.array(z.tuple([z.string(), z.record(z.string(), z.unknown())]));

/** Whether a session of user-interactive authentication goes on. */
export async function isSession(hs: Homeserver, sessionId: string): Promise<boolean> {
  return (await findSession(hs.sql, sessionId, hs.now())) !== undefined;
}

/**
 * Completes a stage for a client that cannot: on a page of ours, on which its user proves what is asked for.
 *
 * @throws MatrixError M_NOT_FOUND if there is no such session, or no longer; and why nothing is proved.
 * @spec client-server-api#fallback
 */
export async function completeStage(
  hs: Homeserver,
  sessionId: string,
  stage: Stage,
  auth: AuthData,
): Promise<void> {
  const row = await findSession(hs.sql, sessionId, hs.now());
  if (!row) throw expired();
  const { userKey } = row;
  const userId = userKey === null ? undefined : (await userIdsOf(hs, [userKey])).get(userKey);
  const subject = userKey === null || userId === undefined ? undefined : { userKey, userId };
  const proof = await tryStage(hs, stage, auth, subject);
  if (proof instanceof MatrixError) throw proof;
  await hs.sql.begin(async (tx) => {
    // The client may have completed another meanwhile.
    const now = await lockSession(tx, sessionId, hs.now());
    if (!now) throw expired();
    const before = Completed.parse(JSON.parse(now.completed));
    const completed = JSON.stringify([...before.filter(([it]) => it !== stage), [stage, proof]]);
    const bodyHash = before.length === 0 ? ANY_BODY : now.bodyHash;
    await updateSession(tx, { sessionId, completed, bodyHash });
  });
}

function expired(): MatrixError {
  return new MatrixError("M_NOT_FOUND", "This has expired: begin again");
}
