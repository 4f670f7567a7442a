import { z } from "zod";
import { claimLocalKeys } from "#src/encryption/claim-keys.ts";
import { storedKeys } from "#src/encryption/stored-keys.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { mapOf } from "../../client/answer-schemas.ts";
import { requireLocalUser } from "../local-user.ts";

/** Devices of one user that may be named. */
const MOST_DEVICES = 10_000;

const Query = z.object({ device_keys: mapOf(z.array(z.string()).max(MOST_DEVICES)) });
const Claim = z.object({ one_time_keys: mapOf(mapOf(z.string())) });

/** The specification's `user_keys.yaml`. */
export const userKeyEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#post_matrixfederationv1userkeysquery */
  serverEndpoint({
    operation: "queryUserEncryptionKeys",
    method: "POST",
    path: "/_matrix/federation/v1/user/keys/query",
    body: Query,
    async handle(hs, { body }) {
      const wanted = ofLocalUsers(hs, body.device_keys);
      const { user_signing_keys: _, ...keys } = await storedKeys(hs, wanted);
      return keys;
    },
  }),
  /** @spec server-server-api#post_matrixfederationv1userkeysclaim */
  serverEndpoint({
    operation: "claimUserEncryptionKeys",
    method: "POST",
    path: "/_matrix/federation/v1/user/keys/claim",
    body: Claim,
    async handle(hs, { body }) {
      const wanted = ofLocalUsers(hs, body.one_time_keys);
      const devices = [...wanted].map(
        ([userId, its]) => [userId, Object.fromEntries(its)] as const,
      );
      return { one_time_keys: await claimLocalKeys(hs, new Map(devices)) };
    },
  }),
];

/** @throws MatrixError M_INVALID_PARAM if one is no user of this server. */
function ofLocalUsers<T>(hs: Homeserver, byUser: ReadonlyMap<string, T>): Map<UserId, T> {
  return new Map([...byUser].map(([userId, it]) => [requireLocalUser(hs, userId), it]));
}
