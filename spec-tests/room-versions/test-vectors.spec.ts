import { describe, expect, test } from "vitest";
import { contentHash } from "#src/events/event-hash.ts";
import { signEvent, verifyEventSignature } from "#src/events/event-signatures.ts";
import { rulesOf } from "#src/events/testing.ts";
import { canonicalJson } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed, signJson, verifySignedJson } from "#src/kit/signed-json.ts";
import { verifyKeyOf } from "#src/kit/testing.ts";

const SEED = Buffer.from("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1", "base64");
const SERVER = "domain" as ServerName;
const KEY = signingKeyFromSeed("ed25519:1", SEED);
const VERIFY_KEY = verifyKeyOf(KEY);

/** @spec appendices#examples */
const CANONICAL = [
  ["{}", "{}"],
  ['{ "one": 1, "two": "Two" }', '{"one":1,"two":"Two"}'],
  ['{ "b": "2", "a": "1" }', '{"a":"1","b":"2"}'],
  ['{"b":"2","a":"1"}', '{"a":"1","b":"2"}'],
  [
    `{ "auth": { "success": true, "mxid": "@john.doe:example.com", "profile": {
      "display_name": "John Doe", "three_pids": [
        { "medium": "email", "address": "john.doe@example.org" },
        { "medium": "msisdn", "address": "123456789" } ] } } }`,
    '{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}',
  ],
  ['{ "a": "日本語" }', '{"a":"日本語"}'],
  ['{ "本": 2, "日": 1 }', '{"日":1,"本":2}'],
  [String.raw`{ "a": "\u65E5" }`, '{"a":"日"}'],
  ['{ "a": null }', '{"a":null}'],
  ['{ "a": -0, "b": 1e10 }', '{"a":0,"b":10000000000}'],
] as const;

describe("canonical JSON, by the specification's examples", () => {
  test.each(CANONICAL)("%s", (json, canonical) => {
    expect(canonicalJson(JSON.parse(json))).toBe(canonical);
  });
});

/** @spec appendices#json-signing */
describe("signed JSON, by the specification's test vectors", () => {
  test.each([
    [{}, "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ"],
    [
      { one: 1, two: "Two" },
      "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw",
    ],
  ])("%j", async (object, signature) => {
    const signed = signJson(object, SERVER, KEY);
    expect(signed).toEqual({ ...object, signatures: { domain: { "ed25519:1": signature } } });
    expect(await verifySignedJson(signed, SERVER, VERIFY_KEY)).toBe(true);
  });
});

/** @spec appendices#event-signing */
const EVENTS = [
  {
    event: {
      room_id: "!x:domain",
      sender: "@a:domain",
      origin: "domain",
      origin_server_ts: 1000000,
      signatures: {},
      hashes: {},
      type: "X",
      content: {},
      prev_events: [],
      auth_events: [],
      depth: 3,
      unsigned: { age_ts: 1000000 },
    },
    sha256: "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos",
    signature:
      "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg",
  },
  {
    event: {
      content: { body: "Here is the message content" },
      event_id: "$0:domain",
      origin: "domain",
      origin_server_ts: 1000000,
      type: "m.room.message",
      room_id: "!r:domain",
      sender: "@u:domain",
      signatures: {},
      unsigned: { age_ts: 1000000 },
    },
    sha256: "onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g",
    signature:
      "Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA",
  },
];

describe("signed events, by the specification's test vectors", () => {
  test.each(EVENTS)("$event.type", async ({ event, sha256, signature }) => {
    expect(contentHash(event)).toBe(sha256);
    const rules = rulesOf("1");
    const signed = signEvent({ ...event, hashes: { sha256 } }, rules, SERVER, KEY);
    expect(signed["signatures"]).toEqual({ domain: { "ed25519:1": signature } });
    expect(await verifyEventSignature(signed, rules, SERVER, VERIFY_KEY)).toBe(true);
  });
});
