import { z } from "zod";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { allowanceOf } from "#src/http/rate-limit.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { mapOf } from "../../client/answer-schemas.ts";
import { notarise } from "../notary.ts";

/** Servers that may be asked about at once, and keys of each. */
const MOST_SERVERS = 200;
const MOST_KEYS = 100;

const timestamp = z.int().nonnegative();

const KeyQuery = z.object({
  server_keys: mapOf(
    mapOf(z.object({ minimum_valid_until_ts: timestamp.optional() }), MOST_KEYS),
    MOST_SERVERS,
  ),
});

/** The specification's `keys_query.yaml`: what we vouch for of other servers' keys. */
export const keyQueryEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#post_matrixkeyv2query */
  openEndpoint({
    operation: "bulkPerspectivesKeyQuery",
    method: "POST",
    path: "/_matrix/key/v2/query",
    auth: "none",
    body: KeyQuery,
    async handle(hs, { body, ip }) {
      const now = hs.now();
      const questions = Array.from(body.server_keys, ([server, criteria]) => ({
        server,
        keys: new Map(Array.from(criteria, ([id, it]) => [id, it.minimum_valid_until_ts ?? now])),
        validUntil: now,
      }));
      const allowance = allowanceOf(hs, "keys", { ip });
      return { server_keys: await notarise(hs, questions, allowance) };
    },
  }),
  /** @spec server-server-api#get_matrixkeyv2queryservername */
  openEndpoint({
    operation: "perspectivesKeyQuery",
    method: "GET",
    path: ["/_matrix/key/v2/query/:serverName", "/_matrix/key/v2/query/:serverName/:keyId"],
    auth: "none",
    async handle(hs, { params, query, ip }) {
      const { serverName = "", keyId } = params;
      const validUntil = validUntilOf(query.get("minimum_valid_until_ts")) ?? hs.now();
      const keys = new Map(keyId === undefined ? [] : [[keyId, validUntil]]);
      const question = { server: serverName, keys, validUntil };
      return { server_keys: await notarise(hs, [question], allowanceOf(hs, "keys", { ip })) };
    },
  }),
];

function validUntilOf(text: string | null): number | undefined {
  if (text === null) return undefined;
  const parsed = /^\d{1,16}$/.test(text) ? timestamp.safeParse(Number(text)) : undefined;
  if (parsed?.success) return parsed.data;
  throw new MatrixError("M_INVALID_PARAM", "minimum_valid_until_ts must be a timestamp");
}
