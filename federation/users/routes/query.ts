import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { wholeProfileOf } from "#src/users/profile.ts";
import { requireLocalUser } from "../local-user.ts";

/** Of the specification's `query.yaml` what is about users. */
export const profileQueryEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1queryprofile */
  serverEndpoint({
    operation: "queryProfile",
    method: "GET",
    path: "/_matrix/federation/v1/query/profile",
    async handle(hs, { query }) {
      const named = query.get("user_id");
      if (named === null) throw new MatrixError("M_MISSING_PARAM", "user_id is needed");
      const profile = await wholeProfileOf(hs, requireLocalUser(hs, named));
      if (!profile) throw new MatrixError("M_NOT_FOUND", "There is no such user");
      const field = query.get("field");
      if (field === null) return profile;
      return Object.hasOwn(profile, field) ? { [field]: profile[field] } : {};
    },
  }),
];
