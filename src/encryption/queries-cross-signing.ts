import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";

export const USAGES = ["master", "self_signing", "user_signing"] as const;

/** What a user's key is for. */
export type Usage = (typeof USAGES)[number];

export type CrossSigningRow = {
  readonly userKey: number;
  readonly usage: Usage;
  readonly publicKey: string;
  readonly json: string;
};

/** The cross-signing keys of users. */
export async function crossSigningKeysOf(
  sql: Queryable,
  userKeys: readonly number[],
): Promise<CrossSigningRow[]> {
  return await sql<CrossSigningRow[]>`
    select user_key as "userKey", usage, public_key as "publicKey", json from cross_signing_keys
    where user_key = any(${userKeys}::bigint[])`;
}

export type KeyName = { readonly userKey: number; readonly usage: Usage };

/** Deletes keys, and the signatures on them. */
export async function deleteCrossSigningKeys(lane: Tx, keys: readonly KeyName[]): Promise<void> {
  if (keys.length === 0) return;
  await lane`
    delete from cross_signing_keys using unnest(
      ${keys.map((it) => it.userKey)}::bigint[], ${keys.map((it) => it.usage)}::text[])
      as old (user_key, usage)
    where cross_signing_keys.user_key = old.user_key and cross_signing_keys.usage = old.usage`;
}

export type SigningKeyName = { readonly signerKey: number; readonly keyId: string };

/** Deletes the signatures that keys have made, wherever they are. */
export async function deleteSignaturesBy(
  lane: Tx,
  signers: readonly SigningKeyName[],
): Promise<void> {
  if (signers.length === 0) return;
  const signerKeys = signers.map((it) => it.signerKey);
  const keyIds = signers.map((it) => it.keyId);
  await Promise.all([
    lane`
      delete from device_signatures using unnest(${signerKeys}::bigint[], ${keyIds}::text[])
        as old (signer_key, key_id)
      where device_signatures.signer_key = old.signer_key and device_signatures.key_id = old.key_id`,
    lane`
      delete from cross_signing_signatures using unnest(${signerKeys}::bigint[], ${keyIds}::text[])
        as old (signer_key, key_id)
      where cross_signing_signatures.signer_key = old.signer_key
        and cross_signing_signatures.key_id = old.key_id`,
  ]);
}

/** Deletes all keys of a user, the signatures on them, and those that they have made on others'. */
export async function deleteCrossSigningOf(sql: Queryable, userKey: number): Promise<void> {
  await sql`
    with signatures as (delete from cross_signing_signatures where signer_key = ${userKey})
    delete from cross_signing_keys where user_key = ${userKey}`;
}

export async function insertCrossSigningKeys(
  lane: Tx,
  rows: readonly CrossSigningRow[],
): Promise<void> {
  if (rows.length === 0) return;
  await lane`
    insert into cross_signing_keys (user_key, usage, public_key, json)
    select unnest(${rows.map((it) => it.userKey)}::bigint[]), unnest(${rows.map((it) => it.usage)}::text[]),
      unnest(${rows.map((it) => it.publicKey)}::text[]), unnest(${rows.map((it) => it.json)}::text[])`;
}

export type DeviceSignature = SigningKeyName & {
  readonly deviceKey: number;
  readonly signature: string;
};

/** Adds signatures to devices that are still there. Each at most once. */
export async function insertDeviceSignatures(
  lane: Tx,
  rows: readonly DeviceSignature[],
): Promise<void> {
  if (rows.length === 0) return;
  await lane`
    insert into device_signatures (device_key, signer_key, key_id, signature)
    select new.* from unnest(${rows.map((it) => it.deviceKey)}::bigint[],
      ${rows.map((it) => it.signerKey)}::bigint[], ${rows.map((it) => it.keyId)}::text[],
      ${rows.map((it) => it.signature)}::text[]) as new (device_key, signer_key, key_id, signature)
    join devices using (device_key)
    on conflict (device_key, signer_key, key_id) do update set signature = excluded.signature`;
}

export type KeySignature = SigningKeyName & {
  readonly userKey: number;
  readonly publicKey: string;
  readonly signature: string;
  readonly position: Position;
};

/** Adds signatures to users' keys that are still there. Each at most once. */
export async function insertKeySignatures(lane: Tx, rows: readonly KeySignature[]): Promise<void> {
  if (rows.length === 0) return;
  await lane`
    insert into cross_signing_signatures (user_key, usage, signer_key, key_id, signature, position)
    select new.user_key, usage, signer_key, key_id, signature, position
    from unnest(${rows.map((it) => it.userKey)}::bigint[], ${rows.map((it) => it.publicKey)}::text[],
      ${rows.map((it) => it.signerKey)}::bigint[], ${rows.map((it) => it.keyId)}::text[],
      ${rows.map((it) => it.signature)}::text[], ${rows.map((it) => it.position)}::bigint[])
      as new (user_key, public_key, signer_key, key_id, signature, position)
    join cross_signing_keys
      on cross_signing_keys.user_key = new.user_key and cross_signing_keys.public_key = new.public_key
    on conflict (user_key, usage, signer_key, key_id) do update
      set signature = excluded.signature, position = excluded.position`;
}

export type SignedUser = { position: Position; signerKey: number; userKey: number };

/** Which users signed which other users' keys in a range. */
export async function usersSignedBetween(
  sql: Queryable,
  after: Position,
  upTo: Position,
): Promise<SignedUser[]> {
  return await sql<SignedUser[]>`
    select position, signer_key as "signerKey", user_key as "userKey" from cross_signing_signatures
    where position > ${after} and position <= ${upTo} and signer_key <> user_key`;
}
