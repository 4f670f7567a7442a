import type { UserId } from "#src/kit/identifiers.ts";

/** By user, then by device ID, then by the key's algorithm and ID. */
export type ClaimedKeys = Readonly<Record<string, Readonly<Record<string, object>>>>;

/** Of each user, of which devices a key of which algorithm is wanted. */
export type WantedKeys = ReadonlyMap<UserId, Readonly<Record<string, string>>>;
