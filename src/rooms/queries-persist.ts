import type { Tx } from "#src/homeserver/database.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { moveRoomServers } from "./queries-room-servers.ts";
import { uncount } from "./room-reads.ts";
import type { EventRow } from "./stored-event.ts";

// What one group of events writes, a statement for each table. They are sent when they are made, and
// answered with the commit: the lane waits for them. Arrays of truth values go as numbers: the driver takes such an array for one value.
// What each message writes has its `unnest` in the select list: in `from`, PostgreSQL first puts the rows aside, for which it takes 24 kB.

export type HeadUpdate = {
  readonly roomKey: number;
  /** The version of the head that it replaces. */
  readonly version: number;
  /** The keys of its ends: of what is sent here, one. */
  readonly extremities: readonly number[];
  readonly depth: number;
  readonly stateRoot: number;
  readonly ordinal: number;
  /** Undefined if nothing that is shown to clients was added. */
  readonly lastPosition: number | undefined;
};

/** An array within an array, which `unnest` would take apart. */
export function arrayText(keys: readonly number[]): string {
  return `{${keys.join()}}`;
}

/** Stores events. */
export function insertEvents(lane: Tx, rows: readonly EventRow[]): void {
  const column = <K extends keyof EventRow>(name: K) => rows.map((row) => row[name]);
  void lane`
    insert into events (event_key, room_key, event_id, type, state_key, sender_key, depth,
      origin_server_ts, status, anchor, anchor_offset, state_before, state_after, room_state,
      ordinal, replaces, device_key, txn_id, json, auth_keys)
    select
      unnest(${column("event_key")}::bigint[]), unnest(${column("room_key")}::bigint[]),
      unnest(${column("event_id")}::text[]), unnest(${column("type")}::text[]),
      unnest(${column("state_key")}::text[]), unnest(${column("sender_key")}::bigint[]),
      unnest(${column("depth")}::bigint[]), unnest(${column("origin_server_ts")}::bigint[]),
      unnest(${column("status")}::smallint[]), unnest(${column("anchor")}::bigint[]),
      unnest(${column("anchor_offset")}::int[]), unnest(${column("state_before")}::bigint[]),
      unnest(${column("state_after")}::bigint[]), unnest(${column("room_state")}::bigint[]),
      unnest(${column("ordinal")}::bigint[]), unnest(${column("replaces")}::bigint[]),
      unnest(${column("device_key")}::bigint[]), unnest(${column("txn_id")}::text[]),
      unnest(${column("json")}::text[]),
      unnest(${rows.map((row) => row.auth_keys && arrayText(row.auth_keys))}::text[])::bigint[]`;
}

/**
 * Moves the heads of rooms to the ends of the chains that were built on them.
 *
 * It fails if a head is no more of the version that was built on.
 */
export function moveHeads(lane: Tx, heads: readonly HeadUpdate[]): void {
  const head = (name: "roomKey" | "depth" | "stateRoot" | "ordinal" | "version") =>
    heads.map((it) => it[name]);
  void lane`
    update rooms set head_version = case when rooms.head_version = moved.version then moved.version + 1
        else ('a room has moved on to version ' || rooms.head_version)::bigint end,
      extremities = moved.extremities::bigint[],
      depth = moved.depth, state_root = moved.state_root, ordinal = moved.ordinal,
      last_position = coalesce(moved.last_position, rooms.last_position)
    from (select unnest(${head("roomKey")}::bigint[]) as room_key, unnest(${head("version")}::bigint[]) as version,
      unnest(${heads.map((it) => arrayText(it.extremities))}::text[]) as extremities,
      unnest(${head("depth")}::bigint[]) as depth, unnest(${head("stateRoot")}::bigint[]) as state_root,
      unnest(${head("ordinal")}::bigint[]) as ordinal,
      unnest(${heads.map((it) => it.lastPosition ?? null)}::bigint[]) as last_position) as moved
    where rooms.room_key = moved.room_key`;
}

/** Notes of new events that their states lack members that are still to be fetched: of few, if any. */
export function markOnPartial(lane: Tx, rows: readonly EventRow[]): void {
  const keys = rows.filter((it) => it.on_partial).map((it) => it.event_key);
  if (keys.length === 0) return;
  void lane`update events set on_partial = true where event_key = any(${keys}::bigint[])`;
}

export function insertNodes(
  lane: Tx,
  nodes: readonly { readonly eventKey: number; readonly bytes: Uint8Array }[],
): void {
  // As hexadecimal text: an array of bytes would be escaped twice on its way.
  void lane`
    insert into state_nodes (event_key, nodes)
    select unnest(${nodes.map((it) => it.eventKey)}::bigint[]),
      decode(unnest(${nodes.map((it) => Buffer.from(it.bytes).toString("hex"))}::text[]), 'hex')`;
}

export type MembershipRow = {
  readonly userKey: number;
  readonly roomKey: number;
  readonly membership: string;
  readonly eventKey: number;
  /** When the current state came to say so: with the event itself if this is left out. */
  readonly position?: number;
  /** The server of a user who is not of this one. */
  readonly server: ServerName | undefined;
};

/**
 * Records what the current state says of members, and which servers are in rooms by that. At most one
 * row for a user and a room.
 */
export function upsertMemberships(lane: Tx, rows: readonly MembershipRow[]): void {
  moveRoomServers(lane, rows);
  void lane`
    insert into memberships (user_key, room_key, membership, event_key, position, local)
    select unnest(${rows.map((it) => it.userKey)}::bigint[]), unnest(${rows.map((it) => it.roomKey)}::bigint[]),
      unnest(${rows.map((it) => it.membership)}::text[]), unnest(${rows.map((it) => it.eventKey)}::bigint[]),
      unnest(${rows.map((it) => it.position ?? it.eventKey)}::bigint[]),
      unnest(${rows.map((it) => Number(it.server === undefined))}::int[]) = 1
    on conflict (user_key, room_key) do update set membership = excluded.membership,
      event_key = excluded.event_key, position = excluded.position,
      forgotten = memberships.forgotten and excluded.membership in ('leave', 'ban')`;
}

export type RelationRow = {
  readonly eventKey: number;
  readonly roomKey: number;
  readonly relatesTo: EventId;
  readonly relType: string;
  readonly anchor: number;
  readonly anchorOffset: number;
  readonly type: string;
  readonly senderKey: number;
  readonly aggregationKey: string | null;
};

export function insertRelations(lane: Tx, rows: readonly RelationRow[]): void {
  void lane`
    insert into relations (event_key, room_key, relates_to, rel_type, anchor, anchor_offset, type,
      sender_key, aggregation_key)
    select unnest(${rows.map((it) => it.eventKey)}::bigint[]),
      unnest(${rows.map((it) => it.roomKey)}::bigint[]), unnest(${rows.map((it) => it.relatesTo)}::text[]),
      unnest(${rows.map((it) => it.relType)}::text[]), unnest(${rows.map((it) => it.anchor)}::bigint[]),
      unnest(${rows.map((it) => it.anchorOffset)}::int[]), unnest(${rows.map((it) => it.type)}::text[]),
      unnest(${rows.map((it) => it.senderKey)}::bigint[]),
      unnest(${rows.map((it) => it.aggregationKey)}::text[])`;
}

export type RedactionRow = {
  readonly redactionKey: number;
  readonly roomKey: number;
  readonly target: EventId;
  /** Whether the sender may redact what others sent. */
  readonly anyone: boolean;
  /** The domain of the sender, who else may redact what users of the same server sent. */
  readonly domain: string;
};

/**
 * Applies redactions to their targets, where those are known and of the same room and the sender may. What is
 * redacted relates to nothing any more, and is not unread. Those whose targets are not known are kept until these come.
 *
 * @returns the redactions that took effect.
 * @spec rooms/v3#handling-redactions
 */
export async function applyRedactions(
  lane: Tx,
  rows: readonly RedactionRow[],
): Promise<ReadonlySet<number>> {
  const applied = await lane<{ event_key: number; redacted_by: number }[]>`
    with redacted as (
      update events set redacted_by = redaction.redaction_key
      from unnest(${rows.map((it) => it.redactionKey)}::bigint[],
        ${rows.map((it) => it.roomKey)}::bigint[], ${rows.map((it) => it.target)}::text[],
        ${rows.map((it) => Number(it.anyone))}::int[], ${rows.map((it) => it.domain)}::text[])
        as redaction (redaction_key, room_key, target, anyone, domain), users
      where events.event_id = redaction.target and events.room_key = redaction.room_key
        and events.redacted_by is null and users.user_key = events.sender_key
        and (redaction.anyone = 1
          or substring(users.user_id from position(':' in users.user_id) + 1) = redaction.domain)
      returning events.event_key, events.redacted_by
    ), unrelated as (
      delete from relations using redacted where relations.event_key = redacted.event_key
    )
    select event_key, redacted_by from redacted`;
  uncount(
    lane,
    applied.map((it) => it.event_key),
  );
  const done = new Set(applied.map((it) => it.redacted_by));
  const others = rows.filter((it) => !done.has(it.redactionKey));
  if (others.length > 0) keepRedactions(lane, others);
  return done;
}

/** Keeps redactions whose targets are not known until those come. */
function keepRedactions(lane: Tx, rows: readonly RedactionRow[]): void {
  void lane`
    insert into waiting_redactions (target, redaction_key, room_key, anyone, domain)
    select target, redaction_key, room_key, anyone = 1, domain from unnest(
      ${rows.map((it) => it.target)}::text[], ${rows.map((it) => it.redactionKey)}::bigint[],
      ${rows.map((it) => it.roomKey)}::bigint[], ${rows.map((it) => Number(it.anyone))}::int[],
      ${rows.map((it) => it.domain)}::text[]) as new (target, redaction_key, room_key, anyone, domain)
    where not exists (select from events where event_id = new.target)
    on conflict do nothing`;
}
