import type { Tx } from "#src/homeserver/database.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Placed } from "#src/streams/stream.ts";
import {
  type CrossSigningRow,
  crossSigningKeysOf,
  deleteCrossSigningKeys,
  deleteSignaturesBy,
  insertCrossSigningKeys,
  type KeyName,
  type SigningKeyName,
  USAGES,
} from "./queries-cross-signing.ts";
import { signedContent } from "./signed-keys.ts";
import type { StoredWrite } from "./stored-write.ts";

/** Keys that a user publishes, in place of those of the same usage. */
export type CrossSigningWrite = {
  readonly kind: "cross-signing";
  readonly userKey: number;
  readonly keys: readonly CrossSigningRow[];
  /** Whether the user has shown anew who they are, so that they may replace keys. */
  readonly mayReplace: boolean;
};

/** The keys of each user, by usage. */
export type KnownKeys = ReadonlyMap<number, Map<string, CrossSigningRow>>;

export async function lookForCrossSigning(
  lane: Tx,
  writes: readonly CrossSigningWrite[],
): Promise<KnownKeys> {
  if (writes.length === 0) return new Map();
  const rows = await crossSigningKeysOf(
    lane,
    writes.map((it) => it.userKey),
  );
  const byUser = Map.groupBy(rows, (it) => it.userKey);
  return new Map(
    writes.map(({ userKey }) => [
      userKey,
      new Map((byUser.get(userKey) ?? []).map((it) => [it.usage, it])),
    ]),
  );
}

/**
 * Whether keys may be published without showing anew who one is: the first ones, and none but those
 * that are there already.
 */
export function areFirstOrSame(
  known: ReadonlyMap<string, CrossSigningRow>,
  keys: readonly CrossSigningRow[],
): boolean {
  return !known.has("master") || keys.every((it) => isSame(known.get(it.usage), it));
}

function isSame(held: CrossSigningRow | undefined, given: CrossSigningRow): boolean {
  if (!held) return false;
  return signedContent(JSON.parse(held.json)) === signedContent(JSON.parse(given.json));
}

/** Stores the keys of users, in order. What an old key has signed goes with it. */
export async function storeCrossSigning(
  lane: Tx,
  placed: readonly Placed<CrossSigningWrite>[],
  known: KnownKeys,
): Promise<Map<number, StoredWrite>> {
  const gone: KeyName[] = [];
  const silenced: SigningKeyName[] = [];
  const added = new Map<string, CrossSigningRow>();
  const stored = new Map<number, StoredWrite>();
  for (const { write, position } of placed) {
    const { userKey } = write;
    const held = known.get(userKey) ?? new Map<string, CrossSigningRow>();
    if (!write.mayReplace && !areFirstOrSame(held, write.keys)) {
      const message = "Other keys have been published meanwhile";
      stored.set(position, { error: new MatrixError("M_FORBIDDEN", message) });
      continue;
    }
    const changed = write.keys.filter((it) => !isSame(held.get(it.usage), it));
    // A new master key makes what is under the old one void, whether or not it is replaced, too.
    const isNewMaster = changed.some((it) => it.usage === "master");
    const fresh = isNewMaster ? write.keys : changed;
    for (const usage of isNewMaster ? USAGES : fresh.map((it) => it.usage)) {
      const old = held.get(usage);
      if (!old) continue;
      gone.push({ userKey, usage });
      silenced.push({ signerKey: userKey, keyId: `ed25519:${old.publicKey}` });
      held.delete(usage);
      added.delete(`${userKey} ${usage}`);
    }
    for (const row of fresh) {
      held.set(row.usage, row);
      added.set(`${userKey} ${row.usage}`, row);
    }
    // The key by which the user signs others' is for nobody else to see.
    const ownKeys = fresh.some((it) => it.usage !== "user_signing");
    stored.set(position, {
      result: {},
      changes: [],
      ...(fresh.length > 0 && { listOf: userKey, updated: { ownKeys } }),
    });
  }
  await Promise.all([
    deleteSignaturesBy(lane, silenced),
    deleteCrossSigningKeys(lane, gone),
    insertCrossSigningKeys(lane, [...added.values()]),
  ]);
  return stored;
}
