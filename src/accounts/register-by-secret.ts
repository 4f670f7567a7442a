import { createHmac, timingSafeEqual } from "node:crypto";
import { makeOneTimeToken, takeOneTimeToken } from "#src/auth/one-time-tokens.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { createAccount } from "./create-account.ts";
import { type LoggedIn, logIn } from "./log-in.ts";
import { requireFreeUserId, userIdOfUsername } from "./username.ts";

const NONCE_LIFETIME_MS = 60_000;

/** What a script says that registers a user. */
export type SecretRegistration = {
  readonly nonce: string;
  readonly username: string;
  readonly password: string;
  readonly displayname?: string | undefined;
  readonly admin: boolean;
  readonly userType?: string | undefined;
  /** In hexadecimal. */
  readonly mac: string;
};

/**
 * A nonce for one registration by the shared secret.
 *
 * @throws MatrixError M_UNRECOGNIZED if no shared secret is configured.
 */
export async function secretNonce(hs: Homeserver): Promise<string> {
  requireSecret(hs);
  return await makeOneTimeToken(hs, "nonce", { lifetimeMs: NONCE_LIFETIME_MS });
}

/**
 * Makes an account for a script that knows the shared secret, which it proves by a MAC (HMAC-SHA1) of
 * the nonce and the account's data, as the scripts of other homeservers do.
 *
 * @throws MatrixError M_UNRECOGNIZED if no shared secret is configured; M_UNKNOWN (400) for a nonce that
 *   is none; M_FORBIDDEN for a wrong MAC; M_INVALID_USERNAME, M_USER_IN_USE, M_WEAK_PASSWORD.
 */
export async function registerBySecret(hs: Homeserver, it: SecretRegistration): Promise<LoggedIn> {
  const secret = requireSecret(hs);
  if (!(await takeOneTimeToken(hs, hs.sql, { purpose: "nonce", token: it.nonce }))) {
    throw new MatrixError("M_UNKNOWN", "Unknown nonce, or used already", { status: 400 });
  }
  if (!isMac(it.mac, macOf(secret, it))) throw new MatrixError("M_FORBIDDEN", "Wrong MAC");

  const userId = userIdOfUsername(hs, it.username);
  await requireFreeUserId(hs, userId);
  const owner = await createAccount(hs, {
    userId,
    password: it.password,
    displayname: it.displayname ?? it.username,
    isAdmin: it.admin,
  });
  return await logIn(hs, owner, { refreshable: false });
}

function macOf(secret: string, it: SecretRegistration): Buffer {
  const parts = [it.nonce, it.username, it.password, it.admin ? "admin" : "notadmin"];
  if (it.userType !== undefined) parts.push(it.userType);
  return createHmac("sha1", secret).update(parts.join("\0")).digest();
}

function isMac(hex: string, expected: Buffer): boolean {
  const given = Buffer.from(hex, "hex");
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function requireSecret(hs: Homeserver): string {
  const { sharedSecret } = hs.config.registration;
  if (sharedSecret !== null) return sharedSecret;
  throw new MatrixError("M_UNRECOGNIZED", "Registration by shared secret is not configured");
}
