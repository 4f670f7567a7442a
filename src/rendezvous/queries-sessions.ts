import type { Queryable } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";

/** Where two clients meet, by the protocol of 2024 or by that which came after it. */
export type Place = {
  readonly protocol: "msc4108" | "msc4388";
  /** Whoever has it may read and write. */
  readonly sessionId: string;
};

/** What was last left at a place where two clients meet. */
export type Session = Place & {
  /** Another with every change. */
  readonly tag: string;
  readonly said: string;
  readonly changedMs: UnixMs;
  readonly expiresAtMs: UnixMs;
};

/** @returns false if there are too many. */
export async function insertSession(db: Queryable, it: Session, most: number): Promise<boolean> {
  const rows = await db`
    insert into rendezvous_sessions (session_id, protocol, etag, said, changed_ms, expires_at_ms)
    select ${it.sessionId}, ${it.protocol}, ${it.tag}, ${it.said}, ${it.changedMs}, ${it.expiresAtMs}
    where (select count(*) from rendezvous_sessions where expires_at_ms > ${it.changedMs}) < ${most}
    returning session_id`;
  return rows.length > 0;
}

export async function findSession(
  db: Queryable,
  { protocol, sessionId }: Place,
  nowMs: UnixMs,
): Promise<Session | undefined> {
  const [row] = await db<Session[]>`
    select session_id as "sessionId", protocol, etag as tag, said, changed_ms as "changedMs",
      expires_at_ms as "expiresAtMs"
    from rendezvous_sessions
    where session_id = ${sessionId} and protocol = ${protocol} and expires_at_ms > ${nowMs}`;
  return row;
}

/** @returns false if the session is not as `before` says, or is not there. */
export async function changeSession(db: Queryable, before: string, it: Session): Promise<boolean> {
  const rows = await db`
    update rendezvous_sessions
    set etag = ${it.tag}, said = ${it.said}, changed_ms = ${it.changedMs},
      expires_at_ms = ${it.expiresAtMs}
    where session_id = ${it.sessionId} and protocol = ${it.protocol} and etag = ${before}
      and expires_at_ms > ${it.changedMs}
    returning session_id`;
  return rows.length > 0;
}

/** @returns false if there was none. */
export async function deleteSession(
  db: Queryable,
  { protocol, sessionId }: Place,
  nowMs: UnixMs,
): Promise<boolean> {
  const rows = await db`
    delete from rendezvous_sessions
    where session_id = ${sessionId} and protocol = ${protocol} and expires_at_ms > ${nowMs}
    returning session_id`;
  return rows.length > 0;
}

export async function deleteExpired(db: Queryable, nowMs: UnixMs): Promise<void> {
  await db`delete from rendezvous_sessions where expires_at_ms <= ${nowMs}`;
}
