import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { YieldingTurns } from "#src/kit/yielding-turns.ts";
import { newAttempts } from "./attempts.ts";
import { type KeyDocument, readKeyDocument } from "./key-document.ts";
import { storeDocuments } from "./queries-keys.ts";

/**
 * How many servers are asked at once; more wait. Anybody can name a server that does not answer, so those that take
 * long hold up the others only when there are very many of them.
 */
const TURNS = { atOnce: 100, mostWaiting: 10_000, slowMs: 1_000, mostSlow: 900 };

const TIMEOUT_MS = 10_000;

const newQueue = () => ({
  underWay: new Map<ServerName, Promise<KeyDocument | undefined>>(),
  turns: new YieldingTurns(TURNS),
});

/** What is asked for with very many others has turns of its own: a room may name ten thousand servers that there are not. */
const memoryOf = held(() => ({ attempts: newAttempts(), few: newQueue(), many: newQueue() }));

/**
 * Asks a server for its keys, and stores them: once at a time, and not again at once. Who needs the same keys
 * meanwhile gets them from here until they can be read.
 *
 * @param isOfMany whether it is one of very many that are asked for at once: these hold up no others.
 * @returns undefined if it has been asked lately, does not answer, or what it says is not its own word.
 * @spec server-server-api#get_matrixkeyv2server
 */
export async function fetchKeys(
  hs: Homeserver,
  server: ServerName,
  isOfMany = false,
): Promise<KeyDocument | undefined> {
  const { attempts, few, many } = memoryOf(hs);
  const { underWay, turns } = isOfMany ? many : few;
  const same = underWay.get(server);
  if (same) return await same;
  if (!attempts.mayTry(server, hs.now())) return undefined;

  const asking = turns
    .take(async () => {
      const document = await ask(hs, server);
      if (document) await storeDocuments(hs, [document], "server");
      return document;
    })
    .then((turn) => {
      // That we are busy says nothing of the server.
      if (turn) attempts.note(server, hs.now(), turn.done !== undefined);
      return turn?.done;
    })
    .finally(() => underWay.delete(server));
  underWay.set(server, asking);
  return await asking;
}

async function ask(hs: Homeserver, server: ServerName): Promise<KeyDocument | undefined> {
  const answer = await hs.remotes.getServerKey(server, {}, { timeoutMs: TIMEOUT_MS });
  if (!answer.ok) {
    const { why } = answer;
    const err = "cause" in answer ? answer.cause : undefined;
    hs.log.info({ server, why, err }, "the keys of a server cannot be fetched");
    return undefined;
  }
  const document = await readKeyDocument(answer.body, server);
  if (!document) hs.log.info({ server, why: "malformed" }, "a server has published no valid keys");
  return document;
}
