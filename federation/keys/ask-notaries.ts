import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { KeyQuestion } from "#src/homeserver/remotes.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { verifySignedJson } from "#src/kit/signed-json.ts";
import { newAttempts } from "./attempts.ts";
import { fetchKeys } from "./fetch-keys.ts";
import { type KeyDocument, type PublishedKey, readKeyDocument } from "./key-document.ts";
import { readKeys } from "./queries-keys.ts";

const TIMEOUT_MS = 15_000;

/** Servers that a notary is asked about in one request. */
const BATCH = 100;

const memoryOf = held(() => ({
  attempts: newAttempts(),
  underWay: new Map<ServerName, Promise<readonly KeyDocument[]>>(),
}));

/**
 * Asks the notaries that we trust for keys of servers that do not answer themselves: one after the
 * other, about all that is still wanted.
 *
 * @returns what servers have published, vouched for by a notary.
 * @spec server-server-api#querying-keys-through-another-server
 */
export async function askNotaries(
  hs: Homeserver,
  questions: readonly KeyQuestion[],
): Promise<readonly KeyDocument[]> {
  if (hs.config.federation.trustedKeyServers.length === 0) return [];
  const { attempts, underWay } = memoryOf(hs);
  const same = questions.flatMap(({ server }) => underWay.get(server) ?? []);
  const fresh = questions.filter(
    ({ server }) => !underWay.has(server) && attempts.mayTry(server, hs.now()),
  );
  const batches = Array.from({ length: Math.ceil(fresh.length / BATCH) }, (_, index) => {
    const batch = fresh.slice(index * BATCH, (index + 1) * BATCH);
    const asking = askEach(hs, batch).finally(() => {
      for (const { server } of batch) underWay.delete(server);
    });
    for (const { server } of batch) underWay.set(server, asking);
    return asking;
  });
  return (await Promise.all(new Set([...same, ...batches]))).flat();
}

async function askEach(
  hs: Homeserver,
  questions: readonly KeyQuestion[],
): Promise<readonly KeyDocument[]> {
  const found: KeyDocument[] = [];
  let wanted = questions;
  for (const notary of hs.config.federation.trustedKeyServers) {
    if (wanted.length === 0) break;
    if (notary === hs.name) continue;
    found.push(...(await ask(hs, notary as ServerName, wanted)));
    wanted = wanted.filter((question) => !isAnswered(question, found));
  }
  const unanswered = new Set(wanted);
  for (const question of questions) {
    memoryOf(hs).attempts.note(question.server, hs.now(), !unanswered.has(question));
  }
  return found;
}

/** Whether documents have all keys that are wanted, as valid as they need to be. */
export function isAnswered(question: KeyQuestion, documents: readonly KeyDocument[]): boolean {
  const keys = documents.filter((it) => it.serverName === question.server).flatMap((it) => it.keys);
  return question.keyIds.every((keyId) =>
    keys.some((it) => it.keyId === keyId && isValidAt(it, question.validAt)),
  );
}

/** Whether it makes no sense to ask for a key again: an old one is as valid as it will ever be. */
export function isValidAt(key: PublishedKey, at: UnixMs): boolean {
  return key.isOld || key.validUntilTs >= at;
}

async function ask(
  hs: Homeserver,
  notary: ServerName,
  questions: readonly KeyQuestion[],
): Promise<readonly KeyDocument[]> {
  const server_keys = Object.fromEntries(
    questions.map(({ server, keyIds, validAt }) => [
      server,
      Object.fromEntries(keyIds.map((id) => [id, { minimum_valid_until_ts: validAt }])),
    ]),
  );
  const answer = await hs.remotes.bulkPerspectivesKeyQuery(
    notary,
    { server_keys },
    { timeoutMs: TIMEOUT_MS },
  );
  if (!answer.ok) {
    hs.log.info({ notary, why: answer.why }, "a notary has not answered");
    return [];
  }
  const asked = new Set<string>(questions.map((it) => it.server));
  const documents = answer.body.server_keys
    .filter((it) => typeof it["server_name"] === "string" && asked.has(it["server_name"]))
    .slice(0, MOST_DOCUMENTS_OF_EACH * questions.length);
  const keys = await notaryKeys(hs, notary, documents);
  const read = documents.map(async (it) => {
    const signed = await Promise.all(keys.map((key) => verifySignedJson(it, notary, key)));
    if (!signed.includes(true)) return undefined;
    return await readKeyDocument(it, it["server_name"] as ServerName);
  });
  return (await Promise.all(read)).filter((it) => it !== undefined);
}

/** A notary may have several answers of one server: one for each of its keys. */
const MOST_DOCUMENTS_OF_EACH = 20;

/** The keys by which a notary is known to us: those that are valid now. */
async function notaryKeys(
  hs: Homeserver,
  notary: ServerName,
  documents: readonly CanonicalObject[],
): Promise<readonly PublishedKey[]> {
  const now = hs.now();
  const ids = new Set(documents.flatMap((it) => signingIdsOf(it, notary)));
  const names = Array.from(ids, (keyId) => ({ server: notary, keyId }));
  const known = (await readKeys(hs, names)).map((it) => it.key);
  const valid = known.filter((it) => !it.isOld && it.validUntilTs >= now);
  if (valid.length > 0 || ids.size === 0) return valid;
  const document = await fetchKeys(hs, notary);
  if (!document) return [];
  return document.keys.filter((it) => !it.isOld && it.validUntilTs >= now);
}

function signingIdsOf(document: CanonicalObject, server: string): string[] {
  const signatures = document["signatures"];
  if (!isObject(signatures) || !Object.hasOwn(signatures, server)) return [];
  const own = signatures[server];
  return isObject(own) ? Object.keys(own).slice(0, 10) : [];
}

function isObject(value: unknown): value is CanonicalObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
