import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { AUserId, mapOf, wireObject } from "./answer-schemas.ts";
import { asking } from "./ask-server.ts";
import { sparingAbsent } from "./spare-absent.ts";
import { path, withQuery } from "./uri.ts";

const MOST_DEVICES = 10_000;

const Device = wireObject({
  device_id: z.string().max(512),
  keys: JsonObject,
  device_display_name: z.string().exactOptional(),
});

const UserDevices = wireObject({
  user_id: z.string(),
  stream_id: z.int(),
  // One that is none does not take the others with it.
  devices: z
    .array(Device.nullable().catch(null))
    .max(MOST_DEVICES)
    .transform((devices) => devices.filter((it) => it !== null)),
  master_key: JsonObject.exactOptional(),
  self_signing_key: JsonObject.exactOptional(),
});

const noKeys = () => new Map<string, CanonicalObject>();

const UserKeys = wireObject({
  device_keys: mapOf(mapOf(JsonObject)),
  master_keys: mapOf(JsonObject).default(noKeys),
  self_signing_keys: mapOf(JsonObject).default(noKeys),
});

const ClaimedKeys = z.object({ one_time_keys: mapOf(mapOf(mapOf(JsonObject.or(z.string())))) });

type UserQuestions = Pick<
  Remotes,
  "getUserDevices" | "queryUserEncryptionKeys" | "claimUserEncryptionKeys" | "exchangeOpenIdToken"
>;

/** What other servers can be asked about their users' devices: mostly while somebody waits, and of many at once. */
export function userQuestions(hs: Homeserver): UserQuestions {
  const getUserDevices: UserQuestions["getUserDevices"] = asking(hs, UserDevices, (question) => ({
    operation: "getUserDevices",
    method: "GET",
    uri: path`/_matrix/federation/v1/user/devices/${question.userId}`,
  }));
  const queryUserEncryptionKeys: UserQuestions["queryUserEncryptionKeys"] = asking(
    hs,
    UserKeys,
    (content) => ({
      operation: "queryUserEncryptionKeys",
      method: "POST",
      uri: "/_matrix/federation/v1/user/keys/query",
      content,
    }),
  );
  const claimUserEncryptionKeys: UserQuestions["claimUserEncryptionKeys"] = asking(
    hs,
    ClaimedKeys,
    (content) => ({
      operation: "claimUserEncryptionKeys",
      method: "POST",
      uri: "/_matrix/federation/v1/user/keys/claim",
      content,
    }),
  );
  return {
    /** @spec server-server-api#get_matrixfederationv1userdevicesuserid */
    getUserDevices: sparingAbsent(hs, getUserDevices),
    /** @spec server-server-api#post_matrixfederationv1userkeysquery */
    queryUserEncryptionKeys: sparingAbsent(hs, queryUserEncryptionKeys),
    /** @spec server-server-api#post_matrixfederationv1userkeysclaim */
    claimUserEncryptionKeys: sparingAbsent(hs, claimUserEncryptionKeys),
    /** @spec server-server-api#get_matrixfederationv1openiduserinfo */
    exchangeOpenIdToken: asking(hs, z.object({ sub: AUserId }), ({ access_token }) => ({
      operation: "exchangeOpenIdToken",
      method: "GET",
      uri: withQuery("/_matrix/federation/v1/openid/userinfo", { access_token }),
      isUnsigned: true,
    })),
  };
}
