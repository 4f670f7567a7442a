import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { withUnstable } from "#src/http/unstable-paths.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import {
  findByFields,
  findByMatrixId,
  FoundLocation,
  FoundUser,
  protocols,
  requireProtocol,
} from "../third-party.ts";

const LOCATIONS = { kind: "location", schema: FoundLocation } as const;
const USERS = { kind: "user", schema: FoundUser } as const;

/** The specification's `third_party_lookup.yaml`: what there is of other networks. */
export const thirdPartyLookupEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getProtocols",
    method: "GET",
    path: withUnstable("/_matrix/client/v3/thirdparty/protocols"),
    handle: async (hs) => await protocols(hs),
  }),
  userEndpoint({
    operation: "getProtocolMetadata",
    method: "GET",
    path: "/_matrix/client/v3/thirdparty/protocol/:protocol",
    handle: async (hs, { params }) => await requireProtocol(hs, params["protocol"] ?? ""),
  }),
  userEndpoint({
    operation: "queryLocationByProtocol",
    method: "GET",
    path: "/_matrix/client/v3/thirdparty/location/:protocol",
    async handle(hs, { params, query }) {
      const search = { ...LOCATIONS, purpose: "queryLocationByProtocol" };
      return await findByFields(hs, search, asked(params, query));
    },
  }),
  userEndpoint({
    operation: "queryUserByProtocol",
    method: "GET",
    path: withUnstable("/_matrix/client/v3/thirdparty/user/:protocol"),
    async handle(hs, { params, query }) {
      const search = { ...USERS, purpose: "queryUserByProtocol" };
      return await findByFields(hs, search, asked(params, query));
    },
  }),
  userEndpoint({
    operation: "queryLocationByAlias",
    method: "GET",
    path: "/_matrix/client/v3/thirdparty/location",
    async handle(hs, { query }) {
      const search = { ...LOCATIONS, purpose: "queryLocationByAlias" };
      return await findByMatrixId(hs, search, required(query, "alias"));
    },
  }),
  userEndpoint({
    operation: "queryUserByID",
    method: "GET",
    path: "/_matrix/client/v3/thirdparty/user",
    async handle(hs, { query }) {
      const search = { ...USERS, purpose: "queryUserByID" };
      return await findByMatrixId(hs, search, required(query, "userid"));
    },
  }),
];

/** By what is asked for: not by what old clients say there of themselves, which is a secret. */
function asked({ protocol = "" }: Readonly<Record<string, string>>, query: URLSearchParams) {
  const fields = new URLSearchParams(query);
  fields.delete("access_token");
  return { protocol, fields };
}

function required(query: URLSearchParams, name: string): string {
  const value = query.get(name);
  if (value === null) throw new MatrixError("M_MISSING_PARAM", `Missing ${name}`);
  return value;
}
