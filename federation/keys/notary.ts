import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { Allowance } from "#src/kit/allowance.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { signJson } from "#src/kit/signed-json.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { parseServerNameParts } from "../client/parse-server-name.ts";
import { fetchKeys } from "./fetch-keys.ts";
import { ownKeyDocument } from "./own-keys.ts";
import { readDocuments, type StoredDocument } from "./queries-keys.ts";

/** What somebody wants to know from us about a server. */
export type NotaryQuestion = {
  readonly server: string;
  /** Which keys, and until when they should be valid; all keys if there are none. */
  readonly keys: ReadonlyMap<string, UnixMs>;
  /** Until when the keys should be valid if there is no more to say. */
  readonly validUntil: UnixMs;
};

/** What a document says of its time, which was checked when it was stored. */
const Validity = z.object({ valid_until_ts: z.number() });

/**
 * What we know of other servers' keys, fetched anew where it is not good enough or half of its time is
 * over, with our signature. Of servers that do not answer, what they last said.
 *
 * @param allowance how many servers who asks may have us ask: these may be anybody's, and take their time.
 * @returns the documents of all servers about which there are any.
 * @throws MatrixError M_LIMIT_EXCEEDED
 * @spec server-server-api#querying-keys-through-another-server
 */
export async function notarise(
  hs: Homeserver,
  questions: readonly NotaryQuestion[],
  allowance: Allowance,
): Promise<readonly CanonicalObject[]> {
  const own = questions.some((it) => it.server === hs.name) ? [await ownKeyDocument(hs)] : [];
  const others = questions.filter(
    (it) => it.server !== hs.name && parseServerNameParts(it.server) !== undefined,
  );
  const servers = others.map((it) => it.server as ServerName);
  let known = Map.groupBy(await readDocuments(hs, servers), (it) => it.serverName);
  const wanting = others.filter((it) => !isEnough(hs, it, known.get(it.server as ServerName)));
  if (wanting.length > 0) {
    allowance.require();
    allowance.count(wanting.length);
    await Promise.all(wanting.map(async (it) => await fetchKeys(hs, it.server as ServerName)));
    known = Map.groupBy(await readDocuments(hs, servers), (it) => it.serverName);
  }
  const texts = new Set(
    others.flatMap((it) =>
      (known.get(it.server as ServerName) ?? [])
        .filter(({ keyId }) => it.keys.size === 0 || it.keys.has(keyId))
        .map(({ text }) => text),
    ),
  );
  const documents = Array.from(texts, (text) => JsonObject.parse(parseWireJson(text)));
  return [...own, ...documents.map((it) => signJson(it, hs.name, hs.signingKey))];
}

function isEnough(
  hs: Homeserver,
  question: NotaryQuestion,
  known: readonly StoredDocument[] = [],
): boolean {
  const [newest] = known;
  if (question.keys.size === 0) return isFresh(hs, newest, question.validUntil);
  return [...question.keys].every(([keyId, validUntil]) =>
    isFresh(
      hs,
      known.find((it) => it.keyId === keyId),
      validUntil,
    ),
  );
}

function isFresh(hs: Homeserver, it: StoredDocument | undefined, validUntil: UnixMs): boolean {
  if (!it) return false;
  const { valid_until_ts } = Validity.parse(parseWireJson(it.text));
  const halfTime = it.fetchedMs + (valid_until_ts - it.fetchedMs) / 2;
  return valid_until_ts >= validUntil && hs.now() <= halfTime;
}
