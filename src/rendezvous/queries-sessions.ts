import type { Queryable } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";

/** What was last left at a place where two clients meet. */
export type Session = {
  readonly sessionId: string;
  readonly etag: string;
  readonly said: string;
  readonly changedMs: UnixMs;
  readonly expiresAtMs: UnixMs;
};

/** @returns false if there are too many. */
export async function insertSession(db: Queryable, it: Session, most: number): Promise<boolean> {
  const rows = await db`
    insert into rendezvous_sessions (session_id, etag, said, changed_ms, expires_at_ms)
    select ${it.sessionId}, ${it.etag}, ${it.said}, ${it.changedMs}, ${it.expiresAtMs}
    where (select count(*) from rendezvous_sessions where expires_at_ms > ${it.changedMs}) < ${most}
    returning session_id`;
  return rows.length > 0;
}

export async function findSession(
  db: Queryable,
  sessionId: string,
  nowMs: UnixMs,
): Promise<Session | undefined> {
  const [row] = await db<Session[]>`
    select session_id as "sessionId", etag, said, changed_ms as "changedMs",
      expires_at_ms as "expiresAtMs"
    from rendezvous_sessions where session_id = ${sessionId} and expires_at_ms > ${nowMs}`;
  return row;
}

/** @returns false if the session is not as `before` says, or is not there. */
export async function changeSession(db: Queryable, before: string, it: Session): Promise<boolean> {
  const rows = await db`
    update rendezvous_sessions
    set etag = ${it.etag}, said = ${it.said}, changed_ms = ${it.changedMs},
      expires_at_ms = ${it.expiresAtMs}
    where session_id = ${it.sessionId} and etag = ${before} and expires_at_ms > ${it.changedMs}
    returning session_id`;
  return rows.length > 0;
}

/** @returns false if there was none. */
export async function deleteSession(db: Queryable, sessionId: string): Promise<boolean> {
  const rows = await db`
    delete from rendezvous_sessions where session_id = ${sessionId} returning session_id`;
  return rows.length > 0;
}

export async function deleteExpired(db: Queryable, nowMs: UnixMs): Promise<void> {
  await db`delete from rendezvous_sessions where expires_at_ms <= ${nowMs}`;
}
