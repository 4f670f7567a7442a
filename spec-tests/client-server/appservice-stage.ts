import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { homeserver, type Method } from "./client.ts";

/** The token of the application service that the tests speak as. */
export const AS_TOKEN = "as-token-of-the-bridge";
const folder = mkdtempSync(join(tmpdir(), "archipel-registrations-"));
writeFileSync(
  join(folder, "bridge.yaml"),
  JSON.stringify({
    id: "bridge",
    url: null,
    as_token: AS_TOKEN,
    hs_token: "hs-token-of-the-bridge",
    sender_localpart: "bridgebot",
    namespaces: {
      users: [
        { exclusive: true, regex: "@_bridge_.*:hs\\.test" },
        { exclusive: false, regex: "@shared-.*:hs\\.test" },
      ],
      aliases: [{ exclusive: true, regex: "#_bridge_.*:hs\\.test" }],
      rooms: [],
    },
  }),
);
writeFileSync(
  join(folder, "other.yaml"),
  JSON.stringify({
    id: "other",
    url: null,
    as_token: "as-token-of-another",
    hs_token: "hs-token-of-another",
    sender_localpart: "otherbot",
    namespaces: { users: [{ exclusive: true, regex: "@_other_.*" }] },
  }),
);
export const hs = await homeserver({ ARCHIPEL_APPSERVICES_DIRECTORY: folder });
export const alice = await hs.registerUser("alice");

/** Asks as the application service. */
export const asBridge = async (method: Method, path: string, body?: unknown, token = AS_TOKEN) =>
  await hs.request(method, path, { token, ...(body !== undefined && { body }) });
let count = 0;
/** Makes a user of the application service. */
export const newUser = async () => {
  const username = `_bridge_${++count}`;
  const body = { type: "m.login.application_service", username, inhibit_login: true };
  expect(await asBridge("POST", "/v3/register", body)).toMatchObject({
    status: 200,
    body: { user_id: `@${username}:hs.test` },
  });
  return `@${username}:hs.test`;
};
/** What says in a query whom it speaks for. */
export const as = (userId: string, further = "") =>
  `user_id=${encodeURIComponent(userId)}${further}`;
