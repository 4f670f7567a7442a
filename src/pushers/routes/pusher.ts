import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { checkRate } from "#src/http/rate-limit.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Pusher } from "../pusher.ts";
import { pushersOf, removePusher, setPusher } from "../set-pusher.ts";

const REQUIRED = ["app_display_name", "device_display_name", "lang", "data"] as const;

const PusherBody = z.object({
  kind: z.string().nullable(),
  app_id: z.string(),
  pushkey: z.string(),
  app_display_name: z.string().max(1_024).optional(),
  device_display_name: z.string().max(1_024).optional(),
  profile_tag: z.string().max(1_024).nullish(),
  lang: z.string().max(64).optional(),
  data: JsonObject.optional(),
  append: z.boolean().nullish(),
  "org.matrix.msc3881.enabled": z.boolean().nullish(),
  enabled: z.boolean().nullish(),
});

/** The specification's `pusher.yaml`: where users want to be told. */
export const pusherEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getPushers",
    method: "GET",
    path: "/_matrix/client/v3/pushers",
    handle: async (hs, { requester }) => ({
      pushers: (await pushersOf(hs, requester)).map(wireOf),
    }),
  }),
  userEndpoint({
    operation: "postPusher",
    method: "POST",
    path: "/_matrix/client/v3/pushers/set",
    rate: "push",
    body: PusherBody,
    async handle(hs, { requester, body, ip }) {
      const name = { appId: body.app_id, pushkey: body.pushkey };
      // Who has the address is sent an e-mail, whether they know the user or not.
      if (body.kind === "email" && !requester.isUnlimited) {
        checkRate(hs, "thirdPartyInvite", { userId: requester.userId, ip });
      }
      if (body.kind === null) await removePusher(hs, requester, name);
      else await setPusher(hs, requester, { ...name, kind: body.kind, ...settingsIn(body) });
      return {};
    },
  }),
];

/** @throws MatrixError M_MISSING_PARAM with all that is missing. */
function settingsIn(body: z.infer<typeof PusherBody>) {
  const { app_display_name, device_display_name, lang, data } = body;
  if (
    app_display_name === undefined ||
    device_display_name === undefined ||
    lang === undefined ||
    data === undefined
  ) {
    const missing = REQUIRED.filter((it) => body[it] === undefined);
    throw new MatrixError("M_MISSING_PARAM", `Missing parameters: ${missing.join(", ")}`);
  }
  return {
    appDisplayName: app_display_name,
    deviceDisplayName: device_display_name,
    profileTag: body.profile_tag ?? null,
    lang,
    data,
    isEnabled: body["org.matrix.msc3881.enabled"] ?? body.enabled ?? true,
    append: body.append ?? false,
  };
}

/** With the names of MSC3881, by which one device can see and switch off what another is told. */
function wireOf(it: Pusher): object {
  return {
    app_id: it.appId,
    pushkey: it.pushkey,
    kind: it.kind,
    app_display_name: it.appDisplayName,
    device_display_name: it.deviceDisplayName,
    ...(it.profileTag !== null && { profile_tag: it.profileTag }),
    lang: it.lang,
    data: it.data,
    "org.matrix.msc3881.enabled": it.isEnabled,
    "org.matrix.msc3881.device_id": it.deviceId,
  };
}
