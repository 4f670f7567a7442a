import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";

/** A row of `uia_sessions`. */
export type SessionRow = {
  readonly sessionId: string;
  readonly subject: string;
  readonly userKey: number | null;
  readonly bodyHash: Buffer;
  /** JSON. */
  readonly completed: string;
};

/** In place of what a session is of, once all has been proved in it and what comes of it is remembered. */
const FINISHED = "finished";

/** A session that has neither expired nor is finished. */
export async function findSession(
  sql: Queryable,
  sessionId: string,
  now: UnixMs,
): Promise<SessionRow | undefined> {
  const [row] = await sql<SessionRow[]>`
    select session_id as "sessionId", subject, user_key as "userKey", body_hash as "bodyHash", completed
    from uia_sessions
    where session_id = ${sessionId} and expires_at_ms > ${now} and subject <> ${FINISHED}`;
  return row;
}

/** The same; until the transaction ends nobody else can change it. */
export async function lockSession(
  tx: Tx,
  sessionId: string,
  now: UnixMs,
): Promise<SessionRow | undefined> {
  const { count } = await tx`select from uia_sessions where session_id = ${sessionId} for update`;
  return count > 0 ? await findSession(tx, sessionId, now) : undefined;
}

/** @param it with what the request asked for that begins it, if that is to be kept. */
export async function insertSession(
  sql: Queryable,
  it: SessionRow & { readonly asked?: string | undefined },
  expiresAtMs: UnixMs,
): Promise<void> {
  await sql`
    insert into uia_sessions (session_id, subject, user_key, body_hash, completed, asked, expires_at_ms)
    values (${it.sessionId}, ${it.subject}, ${it.userKey}, ${it.bodyHash}, ${it.completed},
      ${it.asked ?? null}, ${expiresAtMs})`;
}

/** What the request asked for that began a session, if that was kept. */
export async function askedIn(
  sql: Queryable,
  sessionId: string,
  now: UnixMs,
): Promise<string | undefined> {
  const [row] = await sql<{ asked: string }[]>`
    select asked from uia_sessions
    where session_id = ${sessionId} and expires_at_ms > ${now} and asked is not null`;
  return row?.asked;
}

/** Stores how far a session has come that is locked. */
export async function updateSession(
  tx: Tx,
  it: Pick<SessionRow, "sessionId" | "bodyHash" | "completed">,
): Promise<void> {
  await tx`
    update uia_sessions set body_hash = ${it.bodyHash}, completed = ${it.completed}
    where session_id = ${it.sessionId}`;
}

/** Ends a session. @returns false if it had ended already. */
export async function deleteSession(sql: Queryable, sessionId: string): Promise<boolean> {
  const rows = await sql`
    delete from uia_sessions where session_id = ${sessionId} returning session_id`;
  return rows.length > 0;
}

/** Ends a session so that it can be said what has come of it. @returns false if it had ended already. */
export async function finishSession(sql: Queryable, sessionId: string): Promise<boolean> {
  const rows = await sql`
    update uia_sessions set subject = ${FINISHED}, asked = null
    where session_id = ${sessionId} and subject <> ${FINISHED} returning session_id`;
  return rows.length > 0;
}

/** Says which user has come of a session that is finished. */
export async function noteMade(sql: Queryable, sessionId: string, userKey: number): Promise<void> {
  await sql`
    update uia_sessions set user_key = ${userKey}
    where session_id = ${sessionId} and subject = ${FINISHED}`;
}

/** Who has come of a session that is finished and has not expired. */
export async function madeIn(
  sql: Queryable,
  sessionId: string,
  now: UnixMs,
): Promise<{ readonly userKey: number; readonly bodyHash: Buffer } | undefined> {
  const [row] = await sql<{ userKey: number; bodyHash: Buffer }[]>`
    select user_key as "userKey", body_hash as "bodyHash" from uia_sessions
    where session_id = ${sessionId} and expires_at_ms > ${now} and subject = ${FINISHED}
      and user_key is not null`;
  return row;
}
