import { describe, expect, test } from "vitest";
import { refusal } from "../client-server/client.ts";
import { newPair } from "../client-server/signing.ts";
import { SERVER_ROUTES } from "../coverage/mounted-routes.ts";
import { authorization, E, federatingHomeserver, openPeer } from "./peer.ts";

const hs = await federatingHomeserver();
const peer = await openPeer(hs);
const alice = await hs.registerUser("alice");
const roomId = await alice.createRoom({ preset: "public_chat" });

const routes = SERVER_ROUTES.filter((it) => it.auth === "server").map(
  (it) => [it.operation, it.method, it.path, it] as const,
);
const VALUES = new Map(
  Object.entries({
    roomId,
    userId: peer.user("bob"),
    eventId: "$event",
    txnId: "txn",
    mediaId: "media",
  }),
);

/** A path with something of each kind in place of its parameters. */
const filled = (path: string, instead?: string) =>
  path.replaceAll(/:(\w+)/g, (_, name: string) => instead ?? E(VALUES.get(name) ?? "x"));

/** @spec server-server-api#request-authentication */
describe("a request", () => {
  test.each(routes)("for %s is signed: %s %s", async (_, method, path, { hasBody }) => {
    const uri = filled(path);
    const body = hasBody ? {} : undefined;
    const sent = body === undefined ? {} : { raw: "{}" };
    const stranger = { name: peer.name, pair: newPair() };
    const signing = { method, uri, body };
    const nobody = { name: "127.0.0.1:9", pair: newPair() };
    const whole = authorization(peer, signing);
    for (const header of [
      undefined,
      "",
      `Bearer ${alice.token}`,
      "X-Matrix",
      "X-Matrix origin=x",
      whole.replace(/sig="[^"]*"/, 'sig=""'),
      whole.replace(/,sig="[^"]*"/, ""),
      whole.replace(/origin="[^"]*"/, 'origin="hs.test"'),
      authorization(stranger, signing),
      authorization(peer, { ...signing, key: "unknown" }),
      authorization(peer, { ...signing, destination: "other.test" }),
      authorization(peer, { ...signing, uri: `${uri}?more=1` }),
      authorization(peer, { ...signing, method: "PATCH" }),
      authorization(peer, { ...signing, body: { other: 1 } }),
      authorization(nobody, signing),
    ]) {
      const headers = header === undefined ? {} : { authorization: header };
      const answer = await hs.request(method, uri, { headers, ...sent });
      expect({ header, ...answer }).toMatchObject({ header, ...refusal(401, "M_UNAUTHORIZED") });
    }
  });

  test.each(routes)("for %s may be absurd: %s %s", async (_, method, path, { hasBody }) => {
    const said = async (uri: string, raw?: string) => {
      const body = raw === undefined ? {} : { raw };
      let parsed: unknown;
      try {
        parsed = raw === undefined ? undefined : JSON.parse(raw);
      } catch {
        // What is not JSON cannot be signed as such.
      }
      const headers = { authorization: authorization(peer, { method, uri, body: parsed }) };
      const { status, body: answer, text } = await hs.request(method, uri, { headers, ...body });
      expect(status, `${uri} ${raw}: ${text}`).toBeLessThan(500);
      expect(status === 200 || answer?.errcode !== undefined, `${uri} ${raw}: ${text}`).toBe(true);
    };
    const bodies = ["{}", "[]", "1", '"x"', "null", "{", '{"pdus":[null,1],"edus":[null]}'];
    for (const raw of hasBody ? bodies : [undefined]) {
      for (const value of [
        "%00",
        "x",
        "!",
        "%21%3Ax",
        "@:",
        "%24",
        "%F0%9F%90%88",
        "a".repeat(300),
      ]) {
        await said(filled(path, value), raw);
      }
    }
  });
});
