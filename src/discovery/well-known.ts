import type { Homeserver } from "#src/homeserver/homeserver.ts";

/** Where clients find this server. @spec client-server-api#well-known-uris */
export function clientWellKnown(hs: Homeserver): object {
  const transports = rtcTransports(hs);
  return {
    "m.homeserver": { base_url: hs.config.publicBaseUrl },
    ...(transports.length > 0 && { "org.matrix.msc4143.rtc_foci": transports }),
  };
}

/** By what clients can call each other (MSC4143). */
export function rtcTransports(hs: Homeserver): readonly object[] {
  const { livekitServiceUrl } = hs.config.calls;
  if (livekitServiceUrl === null) return [];
  return [{ type: "livekit", livekit_service_url: livekitServiceUrl }];
}

/**
 * Where other servers find this one: where clients do, since one listener serves both.
 *
 * @returns undefined if they cannot: without TLS, or if there is to be no federation.
 * @spec server-server-api#get.wellknownmatrixserver
 */
export function serverWellKnown(hs: Homeserver): object | undefined {
  const url = new URL(hs.config.publicBaseUrl);
  if (!hs.config.federation.enabled || url.protocol !== "https:") return undefined;
  return { "m.server": `${url.hostname}:${url.port || "443"}` };
}

/**
 * Whom to turn to.
 *
 * @returns undefined if nothing is configured.
 * @spec client-server-api#get.wellknownmatrixsupport
 */
export function supportWellKnown(hs: Homeserver): object | undefined {
  const { page, adminEmail, adminMatrixId, securityEmail } = hs.config.support;
  const contacts = [
    ...(adminEmail === null && adminMatrixId === null
      ? []
      : [
          {
            role: "m.role.admin",
            ...(adminEmail !== null && { email_address: adminEmail }),
            ...(adminMatrixId !== null && { matrix_id: adminMatrixId }),
          },
        ]),
    ...(securityEmail === null ? [] : [{ role: "m.role.security", email_address: securityEmail }]),
  ];
  if (page === null && contacts.length === 0) return undefined;
  return {
    ...(contacts.length > 0 && { contacts }),
    ...(page !== null && { support_page: page }),
  };
}
