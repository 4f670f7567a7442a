import { randomBytes } from "node:crypto";
import type { UnixMs } from "#src/homeserver/position.ts";

/** A new ID for a transaction: no other that we send has it, also after a restart. */
export function newTransactionId(now: UnixMs): string {
  return `${now.toString(36)}-${randomBytes(6).toString("base64url")}`;
}
