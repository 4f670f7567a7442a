import { randomBytes } from "node:crypto";
import { type KeyId, type SigningKey, signingKeyFromSeed } from "#src/kit/signed-json.ts";
import type { Sql, Tx } from "./database.ts";
import type { UnixMs } from "./position.ts";

/** The key that this server signs with; made when the database has none. */
export async function openSigningKey(sql: Sql, now: UnixMs): Promise<SigningKey> {
  const keyId: KeyId = `ed25519:${randomBytes(4).toString("hex")}`;
  const { key_id, seed } = await sql.begin(async (tx) => {
    // Of several processes that start at once on an empty database, one makes the key.
    await tx`select position from positions where id = 1 for update`;
    const [known] = await readKey(tx);
    if (known) return known;
    await tx`
      insert into signing_keys (key_id, seed, created_ms) values (${keyId}, ${randomBytes(32)}, ${now})`;
    const [made] = await readKey(tx);
    if (!made) throw new Error("the signing key that was made is not there");
    return made;
  });
  return signingKeyFromSeed(key_id, seed);
}

type Row = { key_id: KeyId; seed: Uint8Array };

async function readKey(tx: Tx): Promise<Row[]> {
  return await tx<Row[]>`
    select key_id, seed from signing_keys where expired_ms is null order by created_ms desc limit 1`;
}
