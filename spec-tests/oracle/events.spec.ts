/** Canonical JSON, and what is made of it: event IDs, hashes and redactions of all versions. */
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkContentHash, contentHash, eventIdOf, referenceHash } from "#src/events/event-hash.ts";
import { parsePdu } from "#src/events/parse-pdu.ts";
import type { WireEvent } from "#src/events/pdu.ts";
import { redact } from "#src/events/redact.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { canonicalJson, laxCanonicalJson, NotCanonicalError } from "#src/kit/canonical-json.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { lacks } from "../needs.ts";
import { Dice } from "./dice.ts";
import { type CanonicalAnswer, openOracle, type Oracle } from "./oracle.ts";
import { randomEventText, randomJsonText } from "./random-json.ts";
import { batches, report, seeds, VERSIONS } from "./suite.ts";

const JSON_TEXTS = 20_000;
const EVENTS = 12_000;

describe.skipIf(await lacks("synapse"))("canonical JSON and hashes", () => {
  let oracle: Oracle;

  beforeAll(async () => {
    oracle = await openOracle();
  }, 120_000);
  afterAll(async () => {
    await oracle.close();
  });

  test(
    "Canonical JSON is what Synapse makes, and refuses what it refuses",
    { timeout: 120_000 },
    async () => {
      const texts = seeds(JSON_TEXTS).map((seed) => randomJsonText(new Dice(seed)));
      const differing: unknown[] = [];
      let refused = 0;
      for (const some of batches(texts, 2_000)) {
        const answers = await oracle.canonical(some.map((text) => ({ text })));
        for (const [index, text] of some.entries()) {
          const theirs = encodingsOf(answers[index]);
          const ours = encodings(text);
          if (theirs.strict === undefined) refused += 1;
          if (!isDeepStrictEqual(ours, theirs)) differing.push({ text, ours, theirs });
        }
      }
      report(`Canonical JSON of ${texts.length} texts, ${refused} of them refused`);
      expect(differing.slice(0, 10)).toEqual([]);
      expect(refused).toBeGreaterThan(1_000);
    },
  );

  test("event IDs, hashes and redactions are Synapse's", { timeout: 120_000 }, async () => {
    const events = seeds(EVENTS).map((seed, index) => {
      const rules = VERSIONS[index % VERSIONS.length] as RoomVersionRules;
      return { rules, text: hashed(randomEventText(new Dice(seed), rules), new Dice(seed)) };
    });
    const differing: unknown[] = [];
    let judged = 0;
    for (const some of batches(events, 1_000)) {
      const items = some.map(({ rules, text }) => ({ version: rules.version, text }));
      const answers = await oracle.event(items);
      for (const [index, { rules, text }] of some.entries()) {
        const answer = answers[index];
        const ours = digests(text, rules);
        if (answer && "refused" in answer && ours === undefined) continue;
        judged += 1;
        if (!isDeepStrictEqual(ours, answer)) {
          differing.push({ version: rules.version, text, ours, theirs: answer });
        }
      }
    }
    report(`IDs, hashes and redactions of ${judged} events`);
    expect(differing.slice(0, 5)).toEqual([]);
    expect(judged).toBeGreaterThanOrEqual(10_000);
  });
});

/** A text's Canonical JSON, as it was in early room versions and as it is: undefined if refused. */
type Encodings = { readonly lax: string | undefined; readonly strict: string | undefined };

function encodingsOf(answer: CanonicalAnswer | undefined): Encodings {
  if (!answer || "refused" in answer) return { lax: undefined, strict: undefined };
  return { lax: answer.json, strict: answer.strict ? answer.json : undefined };
}

function encodings(text: string): Encodings {
  const value = parseWireJson(text);
  return {
    lax: unlessRefused(() => laxCanonicalJson(value)),
    strict: unlessRefused(() => canonicalJson(value)),
  };
}

function unlessRefused(encode: () => string): string | undefined {
  try {
    return encode();
  } catch (error) {
    if (error instanceof NotCanonicalError) return undefined;
    throw error;
  }
}

/** Puts the right hash into every other event. */
function hashed(text: string, dice: Dice): string {
  if (dice.chance(50)) return text;
  const wire = parseWireJson(text) as WireEvent;
  const sha256 = unlessRefused(() => contentHash(wire));
  return sha256 === undefined
    ? text
    : text.replace(/"sha256":"[^"]*"\},"signatures"/, `"sha256":"${sha256}"},"signatures"`);
}

/** What we say of an event, as the oracle says it; undefined if we do not take it. */
function digests(text: string, rules: RoomVersionRules) {
  const parsed = parsePdu(parseWireJson(text), rules);
  if (!parsed.ok) return undefined;
  const { wire } = parsed;
  return {
    eventId: eventIdOf(wire, rules),
    contentHash: contentHash(wire),
    referenceHash: unpaddedBase64(referenceHash(wire, rules)),
    redacted: laxCanonicalJson(redact(wire, rules)),
    hashMatches: checkContentHash(wire),
  };
}
