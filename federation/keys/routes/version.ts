import { readFileSync } from "node:fs";
import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";

const { version } = JSON.parse(
  readFileSync(new URL("../../../package.json", import.meta.url), "utf8"),
) as { version: string };

/** The specification's `version.yaml`. @spec server-server-api#get_matrixfederationv1version */
export const versionEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "getVersion",
    method: "GET",
    path: "/_matrix/federation/v1/version",
    auth: "none",
    handle: () => ({ server: { name: "Archipel", version } }),
  }),
];
