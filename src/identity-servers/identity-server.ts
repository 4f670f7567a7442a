import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { type Errcode, MatrixError } from "#src/kit/matrix-error.ts";
import { destinationOfUrl } from "#src/outbound/destination.ts";
import { outboundErrorOf } from "#src/outbound/outbound-failure.ts";
import { parseAnswer } from "#src/outbound/parse-answer.ts";
import { type OutboundAnswer, sendRequest } from "#src/outbound/send-request.ts";

/** An identity server that a client has named, and the token by which it knows the client's user. */
export type IdentityServer = {
  /** Its host name, and maybe its port. */
  readonly name: ServerName;
  readonly accessToken: string;
};

/** What an identity server is asked. */
export type IdentityQuestion<T> = {
  /** The specification's operation. */
  readonly purpose: string;
  /** A path, or a whole URL. */
  readonly url: string;
  /** Whose user asks; of anybody if left out. */
  readonly accessToken?: string;
  /** Sent by POST. */
  readonly content?: CanonicalObject;
  readonly expected: z.ZodType<T>;
};

/** What it answered, as far as it did. */
export type IdentityAnswer<T> =
  | { readonly ok: true; readonly body: T }
  | {
      readonly ok: false;
      readonly status: number;
      readonly errcode: string;
      readonly body: CanonicalObject;
    };

/** How long it may take: somebody waits for it. */
const TIMEOUT_MS = 10_000;
const MOST_BYTES = 64 * 1024;

/**
 * Refuses an identity server that the operator does not want to be asked.
 *
 * @throws MatrixError M_SERVER_NOT_TRUSTED
 */
export function requireTrusted(hs: Homeserver, name: ServerName): void {
  const { identityServers } = hs.config.thirdPartyInvites;
  if (identityServers === null || identityServers.includes(name)) return;
  throw new MatrixError("M_SERVER_NOT_TRUSTED", "This server does not ask that identity server");
}

/**
 * Asks an identity server something, over HTTPS and without following redirects. Clients and events of others say which:
 * so it must be at an open address, unless the operator has named it, and of one that cannot be reached no more
 * is said than that.
 *
 * @throws MatrixError 502 if it gives no answer, or none that is one.
 * @spec identity-service-api
 */
export async function askIdentityServer<T>(
  hs: Homeserver,
  { purpose, url, accessToken, content, expected }: IdentityQuestion<T>,
): Promise<IdentityAnswer<T>> {
  const to = URL.canParse(url) ? destinationOfUrl(new URL(url)) : undefined;
  if (!to) throw unhelpful("has no URL that can be asked");
  const { hostHeader } = to.destination;
  const named: readonly string[] = hs.config.thirdPartyInvites.identityServers ?? [];
  let answer: OutboundAnswer;
  try {
    answer = await sendRequest(hs, {
      path: to.path,
      destination: { ...to.destination, isConfigured: named.includes(hostHeader) },
      purpose,
      method: content ? "POST" : "GET",
      headers: {
        ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
        ...(content && { "content-type": "application/json" }),
      },
      ...(content && { body: JSON.stringify(content) }),
      timeoutMs: TIMEOUT_MS,
      mostBytes: MOST_BYTES,
    });
  } catch (cause) {
    throw unhelpful("cannot be reached", outboundErrorOf(cause));
  }
  const said = await parseAnswer(answer.body).catch(() => undefined);
  if (answer.status !== 200) return refusalIn(answer.status, said);
  const parsed = expected.safeParse(said);
  if (!parsed.success) throw unhelpful("did not answer what was asked", parsed.error);
  return { ok: true, body: parsed.data };
}

const ErrorBody = z.looseObject({ errcode: z.string().max(255).catch("M_UNKNOWN") });

function refusalIn(status: number, said: unknown): IdentityAnswer<never> {
  // What is no JSON object is an error page of something before the server.
  const body = JsonObject.safeParse(said).data ?? {};
  return { ok: false, status, errcode: ErrorBody.parse(body).errcode, body };
}

/** What an identity server may say to our user. Of other errors it is we who asked wrongly, or they who cannot answer. */
const PASSED_ON: readonly Errcode[] = [
  "M_FORBIDDEN",
  "M_LIMIT_EXCEEDED",
  "M_TERMS_NOT_SIGNED",
  "M_THREEPID_IN_USE",
];

/** Of the token for the identity server: with the errcode that it has there, a client would take its own for lost. */
const OF_THE_TOKEN: ReadonlySet<string> = new Set([
  "M_UNAUTHORIZED",
  "M_UNKNOWN_TOKEN",
  "M_MISSING_TOKEN",
]);

/** What a client is told of a refusal. */
export function refusalOf({
  status,
  errcode,
  body,
}: Extract<IdentityAnswer<never>, { ok: false }>): MatrixError {
  const { error, retry_after_ms } = body;
  const message = `The identity server refuses: ${typeof error === "string" ? error.slice(0, 500) : errcode}`;
  if (status === 401 || OF_THE_TOKEN.has(errcode)) return new MatrixError("M_FORBIDDEN", message);
  const passedOn = PASSED_ON.find((it) => it === errcode);
  if (!passedOn) return unhelpful(`answered ${status} ${errcode}`);
  const isTime = passedOn === "M_LIMIT_EXCEEDED" && typeof retry_after_ms === "number";
  return new MatrixError(passedOn, message, { fields: { ...(isTime && { retry_after_ms }) } });
}

/** That the identity server is of no help. */
export function unhelpful(what: string, cause?: unknown): MatrixError {
  return new MatrixError("M_UNKNOWN", `The identity server ${what}`, { status: 502, cause });
}
