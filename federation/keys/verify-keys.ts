import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { KeyQuestion } from "#src/homeserver/remotes.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { askNotaries, isAnswered, isValidAt } from "./ask-notaries.ts";
import { fetchKeys } from "./fetch-keys.ts";
import type { PublishedKey } from "./key-document.ts";
import { ownPublishedKeys } from "./own-keys.ts";
import { readKeys, storeDocuments } from "./queries-keys.ts";

/** Keys of one server by their IDs. */
type PublishedKeys = ReadonlyMap<string, PublishedKey>;

/** How long a key is believed without a look at the database, where another process may have put news. */
const REMEMBER_MS = 60 * 60 * 1000;

/** The most keys of one server that are looked for at once: one good signature is enough. */
const MOST_KEYS = 50;

const rememberedOf = held(() =>
  lru<string, { readonly key: PublishedKey; readonly untilMs: UnixMs }>(50_000),
);

/**
 * The keys of a server by which its signatures can be verified: from memory, from the database, from
 * the server itself, or from a notary that we trust.
 *
 * @param keyIds those that it says to have signed with.
 * @param validAt when they must be valid, so that they are asked for again if what is known ends
 *   before. Whether a key that was found is valid is for the caller to judge (`keyIsValidFor`), and
 *   0 asks for keys whatever their time.
 * @returns what could be found, perhaps nothing.
 * @spec server-server-api#retrieving-server-keys
 */
export async function verifyKeysOf(
  hs: Homeserver,
  server: ServerName,
  keyIds: readonly string[],
  validAt: UnixMs,
): Promise<PublishedKeys> {
  const all = await verifyKeysOfMany(hs, [{ server, keyIds, validAt }]);
  return all.get(server) ?? new Map();
}

/** The same for many servers, which are asked at once. Of one server there is one question. */
export async function verifyKeysOfMany(
  hs: Homeserver,
  questions: readonly KeyQuestion[],
): Promise<ReadonlyMap<ServerName, PublishedKeys>> {
  const found = new Map<ServerName, Map<string, PublishedKey>>();
  const add = (server: ServerName, key: PublishedKey) => {
    const keys = found.get(server);
    if (keys) keys.set(key.keyId, key);
    else found.set(server, new Map([[key.keyId, key]]));
  };
  const lacking = (all: readonly KeyQuestion[]) =>
    all.flatMap((it) => {
      const keyIds = it.keyIds.filter((id) => {
        const key = found.get(it.server)?.get(id);
        return !key || !isValidAt(key, it.validAt);
      });
      return keyIds.length > 0 ? [{ ...it, keyIds }] : [];
    });

  const own = questions.find((it) => it.server === hs.name);
  if (own) for (const key of await ownPublishedKeys(hs)) add(hs.name, key);
  const others = questions
    .filter((it) => it !== own)
    .map((it) => ({ ...it, keyIds: it.keyIds.filter(isKnownKind).slice(0, MOST_KEYS) }));

  for (const { server, keyIds } of others) {
    for (const id of keyIds) {
      const key = recall(hs, server, id);
      if (key) add(server, key);
    }
  }
  for (const { server, key } of await stored(hs, lacking(others))) add(server, key);
  const toFetch = lacking(others);
  if (toFetch.length > 0) {
    await refresh(hs, toFetch);
    // Read whatever came of that: a key may also have been stored since it was looked for above.
    for (const { server, key } of await stored(hs, toFetch)) add(server, key);
  }
  return found;
}

function isKnownKind(keyId: string): boolean {
  return keyId.startsWith("ed25519:") && keyId.length <= 255 && !keyId.includes("\0");
}

/** As many servers as the events of a transaction are of. */
const MOST_FEW = 50;

/** Asks servers for their keys, or notaries, and stores what they say. */
async function refresh(hs: Homeserver, questions: readonly KeyQuestion[]): Promise<void> {
  const areMany = questions.length > MOST_FEW;
  const asked = await Promise.all(
    questions.map(async ({ server }) => await fetchKeys(hs, server, areMany)),
  );
  const own = asked.filter((it) => it !== undefined);
  const unanswered = questions.filter((it) => !isAnswered(it, own));
  if (unanswered.length === 0) return;
  await storeDocuments(hs, await askNotaries(hs, unanswered), "notary");
}

/** What the database has, which is remembered. */
async function stored(hs: Homeserver, questions: readonly KeyQuestion[]) {
  const names = questions.flatMap(({ server, keyIds }) =>
    keyIds.map((keyId) => ({ server, keyId })),
  );
  if (names.length === 0) return [];
  const rows = await readKeys(hs, names);
  const untilMs = hs.now() + REMEMBER_MS;
  for (const { server, keyId, key } of rows) {
    rememberedOf(hs).set(nameOf(server, keyId), { key, untilMs });
  }
  return rows;
}

function recall(hs: Homeserver, server: ServerName, keyId: string): PublishedKey | undefined {
  const it = rememberedOf(hs).get(nameOf(server, keyId));
  return it && it.untilMs > hs.now() ? it.key : undefined;
}

/** A server name has no space. */
function nameOf(server: ServerName, keyId: string): string {
  return `${server} ${keyId}`;
}
