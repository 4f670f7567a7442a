import { z } from "zod";
import { appOf } from "#src/app.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Body } from "../spec-tests/answers.ts";

/** Anybody may register, any password will do and costs nothing to check, and nobody is told to wait. */
export const LENIENT = {
  ARCHIPEL_REGISTRATION_MODE: "open",
  ARCHIPEL_PASSWORDS_MIN_LENGTH: "1",
  ARCHIPEL_PASSWORDS_ARGON2_MEMORY_KIB: "8",
  ARCHIPEL_PASSWORDS_ARGON2_ITERATIONS: "1",
  ARCHIPEL_RATE_LIMITS_ENABLED: "false",
};

export type Answered<T = Body> = {
  readonly status: number;
  /** Parsed if it is JSON, else text. */
  readonly body: T;
  readonly response: Response;
};

type Asking = { readonly token?: string; readonly body?: unknown };

/** Asks a homeserver, as over HTTP. */
export type Ask = <T = Body>(
  method: string,
  path: string,
  options?: Asking,
) => Promise<Answered<T>>;

/** What asks a homeserver of this process. Paths that begin with a name are below `/_matrix/client/v3/`. */
export function asking(hs: Homeserver): Ask {
  const app = appOf(hs);
  return async <T>(method: string, path: string, { token, body }: Asking = {}) => {
    const response = await app.request(path.startsWith("/") ? path : `/_matrix/client/v3/${path}`, {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.clone().text();
    const isJson = response.headers.get("content-type") === "application/json";
    const said: unknown = isJson ? JSON.parse(text) : text;
    return { status: response.status, body: said as T, response };
  };
}

const Registered = z.object({
  user_id: z.custom<UserId>((it) => typeof it === "string" && it.startsWith("@")),
  access_token: z.string(),
  device_id: z.string(),
  refresh_token: z.string().optional(),
  expires_in_ms: z.number().optional(),
});

/** Asks to register a user, whose password is `secret`. */
export async function register(ask: Ask, username: string, further: object = {}) {
  const auth = { type: "m.login.dummy" };
  const body = { username, password: "secret", auth, ...further };
  return await ask("POST", "register", { body });
}

/** Registers a user, whose password is `secret`. */
export async function registered(ask: Ask, username: string, further: object = {}) {
  return Registered.parse((await register(ask, username, further)).body);
}
