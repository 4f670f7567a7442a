import type { CanonicalObject, CanonicalValue } from "#src/kit/canonical-json.ts";
import { matchesGlob } from "#src/kit/glob.ts";

/** Who may take part in a room, by the content of its `m.room.server_acl`. */
export type ServerAcl = {
  readonly allowsIpLiterals: boolean;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
};

/** Reads the content of an `m.room.server_acl`. What has not the right type counts as not there. */
export function readServerAcl(content: CanonicalObject): ServerAcl {
  return {
    allowsIpLiterals: content["allow_ip_literals"] !== false,
    allow: globsIn(content["allow"]),
    deny: globsIn(content["deny"]),
  };
}

/**
 * Whether a server may take part in a room that has an access control list.
 *
 * @spec client-server-api#server-access-control-lists-acls-for-rooms
 */
export function serverIsAllowed(acl: ServerAcl, serverName: string): boolean {
  const host = hostOf(serverName).toLowerCase();
  if (!acl.allowsIpLiterals && isIpLiteral(host)) return false;
  if (acl.deny.some((it) => matchesGlob(it, host))) return false;
  return acl.allow.some((it) => matchesGlob(it, host));
}

function globsIn(list: CanonicalValue | undefined): string[] {
  if (!Array.isArray(list)) return [];
  return (list as readonly CanonicalValue[]).flatMap((it) =>
    typeof it === "string" ? [it.toLowerCase()] : [],
  );
}

/** A server name without its port, which does not count. */
function hostOf(serverName: string): string {
  return /^(.*?)(?::\d+)?$/s.exec(serverName)?.[1] ?? serverName;
}

function isIpLiteral(host: string): boolean {
  return host.startsWith("[") || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(host);
}
