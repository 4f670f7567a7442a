import { hash, randomBytes } from "node:crypto";

/**
 * What begins a token, by what it is for: so that people, and programs that look for secrets that got
 * out, know one when they see it.
 */
const PREFIXES = {
  access: "arc_",
  refresh: "arr_",
  login: "arl_",
  setup: "ars_",
  nonce: "arn_",
  openid: "aro_",
} as const;

export type TokenPurpose = keyof typeof PREFIXES;

/** A new secret of 256 random bits, safe in URLs. */
export function newToken(purpose: TokenPurpose): string {
  return PREFIXES[purpose] + randomBytes(32).toString("base64url");
}

/**
 * What is stored of a token. The tokens are random, so nothing slower than SHA-256 is needed: there is
 * nothing to guess.
 */
export function tokenHash(token: string): Buffer {
  return hash("sha256", token, "buffer");
}
