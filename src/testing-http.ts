import { appOf } from "#src/app.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";

/** Anybody may register, any password will do and costs nothing to check, and nobody is told to wait. */
export const LENIENT = {
  ARCHIPEL_REGISTRATION_MODE: "open",
  ARCHIPEL_PASSWORDS_MIN_LENGTH: "1",
  ARCHIPEL_PASSWORDS_ARGON2_MEMORY_KIB: "8",
  ARCHIPEL_PASSWORDS_ARGON2_ITERATIONS: "1",
  ARCHIPEL_RATE_LIMITS_ENABLED: "false",
};

export type Answered = {
  readonly status: number;
  /** Parsed if it is JSON, else text. */
  readonly body: ReturnType<typeof JSON.parse>;
  readonly response: Response;
};

/** Asks a homeserver, as over HTTP. */
export type Ask = (
  method: string,
  path: string,
  options?: { readonly token?: string; readonly body?: unknown },
) => Promise<Answered>;

/** What asks a homeserver of this process. Paths that begin with a name are below `/_matrix/client/v3/`. */
export function asking(hs: Homeserver): Ask {
  const app = appOf(hs);
  return async (method, path, { token, body } = {}) => {
    const response = await app.request(path.startsWith("/") ? path : `/_matrix/client/v3/${path}`, {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.clone().text();
    const isJson = response.headers.get("content-type") === "application/json";
    return { status: response.status, body: isJson ? JSON.parse(text) : text, response };
  };
}

/** Registers a user, whose password is `secret`. */
export async function registered(ask: Ask, username: string, further: object = {}) {
  const auth = { type: "m.login.dummy" };
  const body = { username, password: "secret", auth, ...further };
  return (await ask("POST", "register", { body })).body;
}
