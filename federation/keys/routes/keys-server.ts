import { type Endpoint, jsonText, openEndpoint } from "#src/http/endpoint.ts";
import { canonicalJson } from "#src/kit/canonical-json.ts";
import { ownKeyDocument } from "../own-keys.ts";

/**
 * The specification's `keys_server.yaml`: the keys of this server. Old servers ask for one of them by its ID
 * and are told of all.
 *
 * @spec server-server-api#get_matrixkeyv2server
 */
export const serverKeyEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "getServerKey",
    method: "GET",
    path: ["/_matrix/key/v2/server", "/_matrix/key/v2/server/:keyId"],
    auth: "none",
    // As it was signed, for those who verify what they get without bringing it into that form.
    handle: async (hs) => jsonText(canonicalJson(await ownKeyDocument(hs))),
  }),
];
