import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RemoteAnswer } from "#src/homeserver/remotes.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { type Errcode, isErrcode, MatrixError } from "#src/kit/matrix-error.ts";
import type { ServersToAsk } from "./servers-to-ask.ts";

/** What another server may say to our user. Of other errors it is we who asked wrongly, or they who cannot answer. */
const PASSED_ON: readonly Errcode[] = [
  "M_FORBIDDEN",
  "M_INCOMPATIBLE_ROOM_VERSION",
  "M_INVITE_BLOCKED",
  "M_LIMIT_EXCEEDED",
  "M_NOT_FOUND",
  "M_UNABLE_TO_AUTHORISE_JOIN",
  "M_UNABLE_TO_GRANT_JOIN",
];

/** The most servers that are asked for one and the same thing. */
const MOST_SERVERS = 10;

/** What another server answered. @throws MatrixError of its refusal, or 502 if it did not answer as it should. */
export function bodyOf<T>(server: ServerName, answer: RemoteAnswer<T>): T {
  if (answer.ok) return answer.body;
  if (answer.why === "refused") {
    const errcode = PASSED_ON.find((it) => it === answer.errcode);
    const { error, room_version } = answer.body;
    if (errcode) {
      throw new MatrixError(errcode, typeof error === "string" ? error : "Refused", {
        fields: {
          ...(typeof room_version === "string" && { room_version }),
          ...(answer.retryAfterMs !== undefined && { retry_after_ms: answer.retryAfterMs }),
        },
      });
    }
    throw theirOwn(answer) ?? unhelpful(server, `answered ${answer.status} ${answer.errcode}`);
  }
  const what = answer.why === "malformed" ? "did not answer what was asked" : "cannot be reached";
  throw unhelpful(server, what, answer.cause);
}

/** An error code of somebody's own making. */
const OWN_ERRCODE = /^[A-Z][A-Z0-9_.]{0,99}$/;

/**
 * A refusal by an error code that is another server's own, as it is: the specification has it passed on. No client does
 * anything because of it but show it.
 *
 * @spec server-server-api#get_matrixfederationv1make_joinroomiduserid
 */
function theirOwn(
  answer: Extract<RemoteAnswer<unknown>, { why: "refused" }>,
): MatrixError | undefined {
  const { status, errcode, body } = answer;
  if (![400, 403].includes(status) || isErrcode(errcode)) return undefined;
  if (!OWN_ERRCODE.test(errcode)) return undefined;
  const error = typeof body["error"] === "string" ? body["error"] : "Refused";
  return new MatrixError("M_UNKNOWN", error, { status, fields: { errcode, error }, bare: true });
}

/**
 * Whether a server may not know the second version of the API, and is to be asked by the first.
 *
 * @spec server-server-api#put_matrixfederationv2inviteroomideventid
 */
export function mayBeOld(answer: RemoteAnswer<unknown>): boolean {
  return !answer.ok && answer.why === "refused" && [400, 404].includes(answer.status);
}

/** That a server is of no help. */
export function unhelpful(server: ServerName, what: string, cause?: unknown): MatrixError {
  return new MatrixError("M_UNKNOWN", `${server} ${what}`, { status: 502, cause });
}

/**
 * Does something with the first server by which it succeeds. Where one that knows the room refuses it, those that
 * come later are not asked.
 *
 * @throws MatrixError the refusal that tells most: one that is about the user, rather than one about a server.
 */
export async function throughOneOf<T>(
  hs: Homeserver,
  servers: ServersToAsk,
  attempt: (server: ServerName) => Promise<T>,
): Promise<T> {
  let refusal: MatrixError | undefined;
  const rounds = [servers.first.slice(0, MOST_SERVERS), servers.others.slice(0, MOST_SERVERS)];
  for (const server of rounds.flat()) {
    if (refusal && knowsRoom(refusal) && !servers.first.includes(server)) break;
    try {
      return await attempt(server);
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      hs.log.info({ err: error, server }, "a server was of no help with a room of others");
      if (!refusal || tellsMore(error, refusal)) refusal = error;
    }
  }
  throw refusal ?? new MatrixError("M_NOT_FOUND", "No server is known that is in this room");
}

function tellsMore(one: MatrixError, other: MatrixError): boolean {
  if (other.status >= 500) return one.status < 500;
  return knowsRoom(one) && !knowsRoom(other);
}

/** Whether a refusal is that of a server that is in the room. */
function knowsRoom({ status, errcode }: MatrixError): boolean {
  return status < 500 && errcode !== "M_NOT_FOUND";
}
