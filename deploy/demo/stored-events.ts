import { connect } from "#src/homeserver/database.ts";
import type { Subsidiary } from "./subsidiary.ts";

/** An event as it lies in a database. */
export type StoredRow = {
  readonly roomId: string;
  readonly eventId: string;
  readonly type: string;
  readonly sender: string;
  readonly sentMs: number;
};

/** What lies in the databases: of each subsidiary that runs, by the events' IDs. */
export type Holdings = ReadonlyMap<Subsidiary, ReadonlyMap<string, StoredRow>>;

/** Reads from each database itself which events are in it. Those of servers that are down are left out. */
export async function storedEvents(subsidiaries: readonly Subsidiary[]): Promise<Holdings> {
  const found = await Promise.all(
    subsidiaries.map(async (one) => [one, await eventsOf(one)] as const),
  );
  return new Map(found.flatMap(([one, rows]) => (rows === undefined ? [] : [[one, rows]])));
}

async function eventsOf(one: Subsidiary): Promise<ReadonlyMap<string, StoredRow> | undefined> {
  const url = one.pid === undefined ? undefined : one.databaseUrl();
  if (url === undefined) return undefined;
  const sql = connect(url, 1);
  try {
    const rows = await sql<StoredRow[]>`
      select room_id as "roomId", event_id as "eventId", type, user_id as sender, origin_server_ts as "sentMs"
      from events join rooms using (room_key) join users on user_key = sender_key
      order by room_key, anchor, anchor_offset`;
    return new Map(rows.map((row) => [row.eventId, row]));
  } finally {
    await sql.end();
  }
}
