import { randomBytes } from "node:crypto";

/** What the ID of an event of room versions 1 and 2 begins with: unlike any other of this server. */
export function eventLocalpart(): string {
  return randomBytes(18).toString("base64url");
}
