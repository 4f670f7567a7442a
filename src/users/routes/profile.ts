import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, openEndpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseUserId, serverNameOf } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { fieldValue, requireFieldName } from "../profile-fields.ts";
import { type Profile, wholeProfileOf } from "../profile.ts";
import { remoteProfileOf } from "../remote-profile.ts";
import { setProfileField } from "../set-profile.ts";

const WHOLE = "/_matrix/client/v3/profile/:userId";

/** The second is what clients call that know of fields but not of the version they came with. */
const FIELD = [
  "/_matrix/client/v3/profile/:userId/:keyName",
  "/_matrix/client/unstable/uk.tcpip.msc4133/profile/:userId/:keyName",
];

/**
 * Fields from before there were others: of a user who has not set them nothing is told, by 200, as servers always have
 * (MSC4537). Bridges made with mautrix-go look before they set a picture, and set none after a 404.
 */
const OLDEST: ReadonlySet<string> = new Set(["displayname", "avatar_url"]);

/** The specification's `profile.yaml`: what users tell about themselves. */
export const profileEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "getUserProfile",
    method: "GET",
    path: WHOLE,
    auth: "none",
    async handle(hs, { params }) {
      return await profileFor(hs, params["userId"] ?? "");
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
      const profile = await profileFor(hs, params["userId"] ?? "");
      if (Object.hasOwn(profile, key)) return { [key]: profile[key] };
      if (OLDEST.has(key)) return {};
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

/** @throws MatrixError M_NOT_FOUND, M_FORBIDDEN, M_INVALID_PARAM */
async function profileFor(hs: Homeserver, named: string): Promise<Profile> {
  const userId = parseUserId(named);
  if (serverNameOf(userId) !== hs.name) return await remoteProfileOf(hs, userId);
  const profile = await wholeProfileOf(hs, userId);
  if (!profile) throw new MatrixError("M_NOT_FOUND", "There is no such profile");
  return profile;
}

/** The name of the field of a request, which must be of the requester's own profile. */
function ownField(userId: string, params: Readonly<Record<string, string>>): string {
  const key = params["keyName"] ?? "";
  requireFieldName(key);
  if (parseUserId(params["userId"] ?? "") !== userId) {
    throw new MatrixError("M_FORBIDDEN", "This is not your profile");
  }
  return key;
}
