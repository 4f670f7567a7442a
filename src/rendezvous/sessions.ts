import { randomBytes } from "node:crypto";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import {
  changeSession,
  deleteExpired,
  deleteSession,
  findSession,
  insertSession,
  type Session,
} from "./queries-sessions.ts";

/** How long what was left waits for the other client. */
const LIFETIME_MS = 2 * 60 * 1000;

/** The most that there are at a time: anybody may make them. */
const MOST_SESSIONS = 10_000;

/** Removes the places at which nobody meets any more. */
export const expireRendezvous: Job = {
  name: "expire-rendezvous",
  everyMs: 60_000,
  async run(hs) {
    await deleteExpired(hs.sql, hs.now());
    return "done";
  },
};

/**
 * Makes a place at which two clients can meet, and leaves something there.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED if there are too many.
 */
export async function openSession(hs: Homeserver, said: string): Promise<Session> {
  const session = freshSession(hs, randomBytes(18).toString("base64url"), said);
  if (await insertSession(hs.sql, session, MOST_SESSIONS)) return session;
  throw new MatrixError("M_LIMIT_EXCEEDED", "Too many clients meet at the moment", {
    fields: { retry_after_ms: LIFETIME_MS },
  });
}

/** What was left last. @throws MatrixError M_NOT_FOUND */
export async function readSession(hs: Homeserver, sessionId: string): Promise<Session> {
  const session = await findSession(hs.sql, sessionId, hs.now());
  if (!session) throw notFound();
  return session;
}

/**
 * Leaves something in place of what was left last.
 *
 * @param before the tag of that.
 * @throws MatrixError M_NOT_FOUND; M_UNKNOWN (412) if something else was left meanwhile.
 */
export async function replaceSaid(
  hs: Homeserver,
  sessionId: string,
  { before, said }: { readonly before: string; readonly said: string },
): Promise<Session> {
  const session = freshSession(hs, sessionId, said);
  if (await changeSession(hs.sql, before, session)) return session;
  await readSession(hs, sessionId);
  throw new MatrixError("M_UNKNOWN", "Something else was left meanwhile", {
    status: 412,
    fields: { "org.matrix.msc4108.errcode": "M_CONCURRENT_WRITE" },
  });
}

/** Takes away a place at which clients met. @throws MatrixError M_NOT_FOUND */
export async function closeSession(hs: Homeserver, sessionId: string): Promise<void> {
  if (!(await deleteSession(hs.sql, sessionId))) throw notFound();
}

function freshSession(hs: Homeserver, sessionId: string, said: string): Session {
  const changedMs = hs.now();
  const etag = `"${randomBytes(12).toString("base64url")}"`;
  return { sessionId, etag, said, changedMs, expiresAtMs: changedMs + LIFETIME_MS };
}

function notFound(): MatrixError {
  return new MatrixError("M_NOT_FOUND", "Nobody meets here, or no longer");
}
