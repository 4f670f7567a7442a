import type { Position } from "#src/homeserver/position.ts";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { checkSize } from "#src/http/rate-limit.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { tailOf } from "#src/streams/tail.ts";
import { placeOf } from "#src/timeline/token.ts";
import { claimKeys } from "../claim-keys.ts";
import { changedDeviceLists } from "../device-list-changes.ts";
import { KeyClaim, KeyQuery, KeyUpload } from "../key-schemas.ts";
import { queryKeys } from "../query-keys.ts";
import { uploadKeys } from "../upload-keys.ts";

/** The specification's `keys.yaml`. */
export const keysEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "uploadKeys",
    method: "POST",
    // The second as it was before it was specified; some clients still name their device so.
    path: ["/_matrix/client/v3/keys/upload", "/_matrix/client/v3/keys/upload/:deviceId"],
    body: KeyUpload,
    guests: true,
    async handle(hs, { requester, body }) {
      return { one_time_key_counts: await uploadKeys(hs, requester, body) };
    },
  }),
  userEndpoint({
    operation: "queryKeys",
    method: "POST",
    path: "/_matrix/client/v3/keys/query",
    body: KeyQuery,
    rate: "keys",
    guests: true,
    async handle(hs, { requester, body, ip }) {
      const size = Object.keys(body.device_keys).length;
      checkSize(hs, "keys", { requester, ip }, size);
      return await queryKeys(hs, requester, body);
    },
  }),
  userEndpoint({
    operation: "claimKeys",
    method: "POST",
    path: "/_matrix/client/v3/keys/claim",
    body: KeyClaim,
    rate: "keys",
    guests: true,
    async handle(hs, { requester, body, ip }) {
      const counts = Object.values(body.one_time_keys).map((it) => Object.keys(it).length);
      const size = counts.reduce((sum, it) => sum + it, 0);
      checkSize(hs, "keys", { requester, ip }, size);
      return await claimKeys(hs, body);
    },
  }),
  userEndpoint({
    operation: "getKeysChanges",
    method: "GET",
    path: "/_matrix/client/v3/keys/changes",
    async handle(hs, { requester, query }) {
      const from = positionOf(query.get("from"), "from");
      // Who comes from a time that is gone, as the database was put back to an earlier day, knows nobody's devices.
      const after = (await tailOf(hs).hasReached(from)) ? from : 0;
      // Read, but no bound: of a list that has changed again since only the last change is known.
      positionOf(query.get("to"), "to");
      const upTo = Number.MAX_SAFE_INTEGER;
      return await changedDeviceLists(hs, requester.userKey, { after, upTo });
    },
  }),
];

/** @throws MatrixError M_MISSING_PARAM; M_INVALID_PARAM of what is no token of `/sync`. */
function positionOf(token: string | null, name: string): Position {
  if (token === null) throw new MatrixError("M_MISSING_PARAM", `${name} is needed`);
  return placeOf(token).anchor;
}
