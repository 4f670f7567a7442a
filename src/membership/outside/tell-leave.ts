import type { BuiltEvent } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { memberDraft } from "../member-draft.ts";
import { forgetUntold, noteUntold, putOffUntold, type UntoldLeave } from "./queries-untold.ts";
import { bodyOf, mayBeOld } from "./refusals.ts";
import { signTemplate } from "./sign-template.ts";

/** How long a server may take: the user is out of it in any case. */
const TIMEOUT_MS = 10_000;

/** The wait after nobody could be told, at first and in the end. */
export const FIRST_RETRY_MS = 60_000;
const LAST_RETRY_MS = 60 * 60_000;

/** The most servers that are told. */
const MOST_SERVERS = 10;

/** After this time no more are asked by one attempt: the user waits for it, or others who want to enter the room. */
const LONGEST_ATTEMPT_MS = 30_000;

/** The leave, if a server has taken it; else whether one might later. */
export type Told =
  | { readonly left: BuiltEvent }
  | { readonly left?: never; readonly isOver: boolean };

/**
 * Tells a server in a room that a user of ours is out of it. What nobody can be told now is told later,
 * whatever becomes of this process.
 *
 * @spec server-server-api#leaving-rooms-rejecting-invites
 */
export async function tellLeave(hs: Homeserver, leave: UntoldLeave): Promise<Told> {
  const now = hs.now();
  await noteUntold(hs.sql, leave, { now, dueMs: now + FIRST_RETRY_MS });
  return await tryToTell(hs, leave, { failures: 0 });
}

/** The same of what has been written down. */
export async function tryToTell(
  hs: Homeserver,
  leave: UntoldLeave,
  { failures }: { readonly failures: number },
): Promise<Told> {
  let isOver = true;
  const until = hs.now() + LONGEST_ATTEMPT_MS;
  for (const server of inTurns(leave.servers.slice(0, MOST_SERVERS), failures)) {
    if (hs.now() > until) {
      isOver = false;
      break;
    }
    try {
      const left = await leaveThrough(hs, server, leave);
      await forgetUntold(hs.sql, leave);
      return { left };
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      const { roomId } = leave;
      hs.log.info(
        { err: error, server, roomId },
        "a server was not told that a user is out of a room",
      );
      // Who knows nothing of it need not be told.
      if (error.isForNow) isOver = false;
    }
  }
  const waitMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures, 20), LAST_RETRY_MS);
  if (isOver) await forgetUntold(hs.sql, leave);
  else await putOffUntold(hs.sql, leave, hs.now() + waitMs);
  return { isOver };
}

/** Each attempt begins with another, so that none is left out for those before it. */
function inTurns(servers: readonly ServerName[], attempts: number): readonly ServerName[] {
  const first = servers.length === 0 ? 0 : attempts % servers.length;
  return [...servers.slice(first), ...servers.slice(0, first)];
}

async function leaveThrough(
  hs: Homeserver,
  server: ServerName,
  { roomId, userId, reason }: UntoldLeave,
): Promise<BuiltEvent> {
  const options = { timeoutMs: TIMEOUT_MS };
  const question = { roomId, userId };
  const template = bodyOf(server, await hs.remotes.makeLeave(server, question, options));
  const draft = await memberDraft(hs, userId, "leave", reason === null ? {} : { reason });
  // Old servers do not say which version the room has; we may know it from what we were told before.
  const version = (await findRoom(hs, roomId))?.rules.version;
  const proposed = { ...template, ...(version !== undefined && { room_version: version }) };
  const signed = signTemplate(hs, server, proposed, { roomId, sender: userId, draft });
  const sent = { roomId, eventId: signed.event.event_id, event: signed.wire };
  const answer = await hs.remotes.sendLeaveV2(server, sent, options);
  bodyOf(server, mayBeOld(answer) ? await hs.remotes.sendLeaveV1(server, sent, options) : answer);
  return signed;
}
