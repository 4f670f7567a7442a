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
  type Place,
  type Session,
} from "./queries-sessions.ts";

/** How long what was left last waits for the other client (MSC4108), and how long the two have for all of it (MSC4388). */
const LIFETIMES_MS = { msc4108: 2 * 60 * 1000, msc4388: 5 * 60 * 1000 };

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
export async function openSession(
  hs: Homeserver,
  protocol: Place["protocol"],
  said: string,
): Promise<Session> {
  const changedMs = hs.now();
  const lifetimeMs = LIFETIMES_MS[protocol];
  const session: Session = {
    protocol,
    sessionId: randomBytes(18).toString("base64url"),
    tag: newTag(),
    said,
    changedMs,
    expiresAtMs: changedMs + lifetimeMs,
  };
  if (await insertSession(hs.sql, session, MOST_SESSIONS)) return session;
  throw new MatrixError("M_LIMIT_EXCEEDED", "Too many clients meet at the moment", {
    fields: { retry_after_ms: lifetimeMs },
  });
}

/** What was left last. @throws MatrixError M_NOT_FOUND */
export async function readSession(hs: Homeserver, place: Place): Promise<Session> {
  const session = await findSession(hs.sql, place, hs.now());
  if (!session) throw notFound();
  return session;
}

/**
 * Leaves something in place of what was left last.
 *
 * @param before the tag of that.
 * @returns how it is then; and whether it was done, or something else was left meanwhile.
 * @throws MatrixError M_NOT_FOUND
 */
export async function replaceSaid(
  hs: Homeserver,
  place: Place,
  { before, said }: { readonly before: string; readonly said: string },
): Promise<{ readonly session: Session; readonly isDone: boolean }> {
  const found = await readSession(hs, place);
  const changedMs = hs.now();
  const expiresAtMs =
    place.protocol === "msc4108" ? changedMs + LIFETIMES_MS.msc4108 : found.expiresAtMs;
  const session = { ...found, tag: newTag(), said, changedMs, expiresAtMs };
  if (await changeSession(hs.sql, before, session)) return { session, isDone: true };
  return { session: await readSession(hs, place), isDone: false };
}

/** Takes away a place at which clients met. @throws MatrixError M_NOT_FOUND */
export async function closeSession(hs: Homeserver, place: Place): Promise<void> {
  if (!(await deleteSession(hs.sql, place, hs.now()))) throw notFound();
}

function newTag(): string {
  return randomBytes(12).toString("base64url");
}

function notFound(): MatrixError {
  return new MatrixError("M_NOT_FOUND", "Nobody meets here, or no longer");
}
