import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { parseVerifyKey } from "#src/kit/signed-json.ts";
import type { KeyDocument, PublishedKey } from "./key-document.ts";

/** How exactly it is known when a key was last used. */
const USE_NOTED_MS = 7 * 24 * 60 * 60 * 1000;

/** How long a key is believed to be valid at most, whatever its owner says: so that it can be withdrawn. */
const LONGEST_VALIDITY_MS = 7 * 24 * 60 * 60 * 1000;

/** A key of another server, by its names. */
export type KeyName = { readonly server: ServerName; readonly keyId: string };

type Row = {
  readonly server_name: ServerName;
  readonly key_id: string;
  readonly public_key: string;
  readonly is_old: boolean;
  readonly valid_until_ms: UnixMs;
};

/** The keys that are known, of those that are asked for; notes that they are of use. */
export async function readKeys(
  hs: Homeserver,
  names: readonly KeyName[],
): Promise<readonly (KeyName & { readonly key: PublishedKey })[]> {
  const servers = names.map((it) => it.server);
  const keyIds = names.map((it) => it.keyId);
  const rows = await hs.sql<(Row & { used_ms: UnixMs })[]>`
    select server_name, key_id, public_key, is_old, valid_until_ms, used_ms from server_keys
    join unnest(${servers}::text[], ${keyIds}::text[]) as wanted (server, id)
      on server_name = wanted.server and key_id = wanted.id`;
  const now = hs.now();
  const unnoted = rows.filter((it) => it.used_ms < now - USE_NOTED_MS);
  if (unnoted.length > 0) {
    await hs.sql`
      update server_keys set used_ms = ${now}
      from unnest(
        ${unnoted.map((it) => it.server_name)}::text[], ${unnoted.map((it) => it.key_id)}::text[]
      ) as used (server, id)
      where server_name = used.server and key_id = used.id`;
  }
  return rows.flatMap((row) => {
    const key = parseVerifyKey(row.key_id, row.public_key);
    if (!key) return [];
    return [
      {
        server: row.server_name,
        keyId: row.key_id,
        key: {
          ...key,
          base64: row.public_key,
          isOld: row.is_old,
          validUntilTs: row.valid_until_ms,
        },
      },
    ];
  });
}

/**
 * Stores what servers have published. What a server says itself replaces what is known of its keys;
 * what a notary says of it, only if it is the same key and news: notaries may be late.
 */
export async function storeDocuments(
  hs: Homeserver,
  documents: readonly KeyDocument[],
  from: "server" | "notary",
): Promise<void> {
  // The last word on each key, since a statement may change a row once.
  const keys = new Map(
    documents.flatMap((it) =>
      it.keys.map((key) => [`${it.serverName} ${key.keyId}`, { ...key, document: it }] as const),
    ),
  );
  // In one order everywhere: two that store the same keys must not wait for each other.
  const rows = [...keys].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, it]) => it);
  if (rows.length === 0) return;
  const now = hs.now();
  await hs.sql`
    insert into server_keys
      (server_name, key_id, public_key, is_old, valid_until_ms, fetched_ms, used_ms, document)
    select new.server, new.id, new.public, new.is_old::boolean, new.valid_until, ${now}, ${now}, new.document
    from unnest(
      ${rows.map((it) => it.document.serverName)}::text[],
      ${rows.map((it) => it.keyId)}::text[],
      ${rows.map((it) => it.base64)}::text[],
      ${rows.map((it) => String(it.isOld))}::text[],
      ${rows.map((it) => (it.isOld ? it.validUntilTs : Math.min(it.validUntilTs, now + LONGEST_VALIDITY_MS)))}::bigint[],
      ${rows.map((it) => it.document.text)}::text[]
    ) as new (server, id, public, is_old, valid_until, document)
    on conflict (server_name, key_id) do update set
      public_key = excluded.public_key,
      is_old = excluded.is_old,
      valid_until_ms = excluded.valid_until_ms,
      fetched_ms = excluded.fetched_ms,
      document = excluded.document
    where ${from} = 'server' or (
      excluded.public_key = server_keys.public_key and not server_keys.is_old
      and (excluded.is_old or excluded.valid_until_ms > server_keys.valid_until_ms)
    )`;
  await forgetTooMany(hs, [...new Set(rows.map((it) => it.document.serverName))]);
}

/** The most keys of one server that are kept: as many as it may publish at once. */
const MOST_KEPT = 200;

/** Forgets those keys of servers that they have not published for longest, if they have ever new ones. */
async function forgetTooMany(hs: Homeserver, servers: readonly ServerName[]): Promise<void> {
  await hs.sql`
    delete from server_keys using (
      select server_name, key_id, row_number() over (
        partition by server_name order by fetched_ms desc, is_old, valid_until_ms desc) as place
      from server_keys where server_name = any(${servers}::text[])
    ) as known
    where place > ${MOST_KEPT} and server_keys.server_name = known.server_name
      and server_keys.key_id = known.key_id`;
}

/** What is stored of a server's keys, for a notary to show. */
export type StoredDocument = {
  readonly serverName: ServerName;
  readonly keyId: string;
  readonly fetchedMs: UnixMs;
  readonly text: string;
};

/** The most characters of documents that are read at once. */
const MOST_CHARACTERS = 16_000_000;

/** The documents of servers, once for each key that is in them, the newest of each first; of very long ones not all. */
export async function readDocuments(
  hs: Homeserver,
  servers: readonly ServerName[],
): Promise<readonly StoredDocument[]> {
  return await hs.sql<StoredDocument[]>`
    select server_name as "serverName", key_id as "keyId", fetched_ms as "fetchedMs", document as text
    from (
      select *, sum(octet_length(document)) over (
        order by server_name, fetched_ms desc, key_id) as characters
      from server_keys where server_name = any(${[...servers]}::text[])
    ) as known
    where characters <= ${MOST_CHARACTERS}
    order by fetched_ms desc`;
}

/** Forgets keys that nobody has had a use for since then. @returns how many. */
export async function deleteUnusedKeys(
  hs: Homeserver,
  before: UnixMs,
  limit: number,
): Promise<number> {
  const gone = await hs.sql`
    delete from server_keys where (server_name, key_id) in (
      select server_name, key_id from server_keys
      where used_ms < ${before} and fetched_ms < ${before} limit ${limit}
    )`;
  return gone.count;
}
