import { z } from "zod";
import { type Endpoint, openEndpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseUserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { fieldValue, requireFieldName } from "../profile-fields.ts";
import { wholeProfileOf } from "../profile.ts";
import { setProfileField } from "../set-profile.ts";

const WHOLE = "/_matrix/client/v3/profile/:userId";

/** The second is what clients call that know of fields but not of the version they came with. */
const FIELD = [
  "/_matrix/client/v3/profile/:userId/:keyName",
  "/_matrix/client/unstable/uk.tcpip.msc4133/profile/:userId/:keyName",
];

const NO_PROFILE = "There is no such profile";

/** The specification's `profile.yaml`: what users tell about themselves. */
export const profileEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "getUserProfile",
    method: "GET",
    path: WHOLE,
    auth: "none",
    async handle(hs, { params }) {
      const profile = await wholeProfileOf(hs, parseUserId(params["userId"] ?? ""));
      if (!profile) throw new MatrixError("M_NOT_FOUND", NO_PROFILE);
      return profile;
    },
  }),
  openEndpoint({
    operation: "getProfileField",
    method: "GET",
    path: FIELD,
    auth: "none",
    async handle(hs, { params }) {
      const key = params["keyName"] ?? "";
      requireFieldName(key);
      const profile = await wholeProfileOf(hs, parseUserId(params["userId"] ?? ""));
      if (!profile) throw new MatrixError("M_NOT_FOUND", NO_PROFILE);
      if (Object.hasOwn(profile, key)) return { [key]: profile[key] };
      throw new MatrixError("M_NOT_FOUND", "The profile has no such field");
    },
  }),
  userEndpoint({
    operation: "setProfileField",
    method: "PUT",
    path: FIELD,
    guests: true,
    body: z.record(z.string(), z.unknown()),
    async handle(hs, { requester, params, body }) {
      const key = ownField(requester.userId, params);
      await setProfileField(hs, requester, key, fieldValue(key, body));
      return {};
    },
  }),
  userEndpoint({
    operation: "deleteProfileField",
    method: "DELETE",
    path: FIELD,
    guests: true,
    async handle(hs, { requester, params }) {
      await setProfileField(hs, requester, ownField(requester.userId, params), undefined);
      return {};
    },
  }),
];

/** The name of the field of a request, which must be of the requester's own profile. */
function ownField(userId: string, params: Readonly<Record<string, string>>): string {
  const key = params["keyName"] ?? "";
  requireFieldName(key);
  if (parseUserId(params["userId"] ?? "") !== userId) {
    throw new MatrixError("M_FORBIDDEN", "This is not your profile");
  }
  return key;
}
