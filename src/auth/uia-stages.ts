import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { AuthData } from "./auth-data.ts";
import { checkPassword } from "./check-password.ts";
import { identifiedUser } from "./identify-user.ts";
import { userLocked } from "./moderated-accounts.ts";
import { isRegistrationToken } from "./registration-tokens.ts";

/** The stages that can be asked for. */
export type Stage =
  | "m.login.password"
  | "m.login.dummy"
  | "m.login.registration_token"
  | "m.login.terms";

/** What completed stages have proved. */
export type Proof = {
  /** The user whose password was given. */
  readonly userKey?: number;
  /** Valid when it was given; to be used up by what is done with it. */
  readonly registrationToken?: string;
};

/** Whom the authentication is of. Undefined if nobody has been logged in. */
export type StageSubject = { readonly userKey: number; readonly userId: `@${string}:${string}` };

/**
 * Tries a stage.
 *
 * @returns what it proves, or why it does not.
 * @throws MatrixError M_FORBIDDEN if it proves to be another user than the one who asks; M_USER_LOCKED.
 */
export async function tryStage(
  hs: Homeserver,
  stage: Stage,
  auth: AuthData,
  subject: StageSubject | undefined,
): Promise<Proof | MatrixError> {
  switch (stage) {
    case "m.login.dummy":
      return {};
    case "m.login.terms":
      // Who completes it agrees to what its parameters name.
      return {};
    case "m.login.password":
      return await tryPassword(hs, auth, subject);
    case "m.login.registration_token":
      return await tryRegistrationToken(hs, auth);
  }
}

/** @spec client-server-api#password-based */
async function tryPassword(
  hs: Homeserver,
  auth: AuthData,
  subject: StageSubject | undefined,
): Promise<Proof | MatrixError> {
  if (auth.password === undefined) {
    return new MatrixError("M_MISSING_PARAM", "Missing password", { status: 401 });
  }
  const isNamed = auth.identifier !== undefined || auth.user !== undefined;
  const userId = isNamed || !subject ? identifiedUser(hs, auth) : subject.userId;
  if (subject && userId !== subject.userId) {
    throw new MatrixError("M_FORBIDDEN", "This is the password of somebody else");
  }
  const account = await checkPassword(hs, userId, auth.password);
  if (!account) return new MatrixError("M_FORBIDDEN", "Wrong password", { status: 401 });
  // Without an access token nobody has seen to that yet.
  if (account.isLocked) throw userLocked();
  return { userKey: account.userKey };
}

/** @spec client-server-api#token-authenticated-registration */
async function tryRegistrationToken(hs: Homeserver, auth: AuthData): Promise<Proof | MatrixError> {
  if (auth.token === undefined) {
    return new MatrixError("M_MISSING_PARAM", "Missing registration token", { status: 401 });
  }
  if (await isRegistrationToken(hs, auth.token)) return { registrationToken: auth.token };
  return new MatrixError("M_UNAUTHORIZED", "This is no valid registration token");
}
