import { z } from "zod";
import { withAnswerMemory } from "#src/homeserver/answer-memory.ts";
import type { AnswerMemory, AskOptions } from "#src/homeserver/ask-options.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Ask, RemoteAnswer } from "#src/homeserver/remotes.ts";
import { type CanonicalObject, laxCanonicalJson } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";
import type { Destination } from "#src/outbound/destination.ts";
import { OutboundError, outboundErrorOf } from "#src/outbound/outbound-failure.ts";
import { parseAnswer } from "#src/outbound/parse-answer.ts";
import {
  type OutboundAnswer,
  type OutboundRequest,
  sendRequest,
} from "#src/outbound/send-request.ts";
import { heardFrom } from "./heard-from.ts";
import { resolveServer } from "./resolve-server.ts";
import { xMatrixHeader } from "./x-matrix.ts";

/** A question to another server. */
export type Question = {
  readonly operation: OperationId;
  readonly method: "GET" | "PUT" | "POST";
  /** From `/_matrix` on, with the query, encoded (see `path`). */
  readonly uri: string;
  /** The body; as text if it is Canonical JSON already. */
  readonly content?: CanonicalObject | string;
  /** Whether we sign it; all but those that anybody may ask are. */
  readonly isUnsigned?: boolean;
  /** The most bytes of an answer that is no error. */
  readonly mostBytes?: number;
};

const MOST_BYTES = 16 * 1024 * 1024;

/** For how long a server is looked for in one place after the other. */
const LONGEST_SEARCH_MS = 15_000;

/** What a proxy before a server says of a server that is not there. */
export const FROM_BETWEEN: ReadonlySet<number> = new Set([502, 503, 504]);

/**
 * Asks another homeserver something, with our signature.
 *
 * Makes one attempt. Whether and when to try again is for the caller to know: a queue waits hours,
 * a user who joins a room waits seconds. So failing is an answer here, not an exception.
 *
 * @param expected what an answer must look like for us to believe it.
 * @spec server-server-api#request-authentication
 */
async function askServer<T>(
  hs: Homeserver,
  server: ServerName,
  { expected, ...question }: Question & { readonly expected: z.ZodType<T> },
  options: AskOptions = {},
): Promise<RemoteAnswer<T>> {
  let answer: OutboundAnswer;
  try {
    answer = await reach(hs, server, question, (request) =>
      sendRequest(hs, {
        ...request,
        timeoutMs: options.timeoutMs ?? hs.config.federation.requestTimeoutMs,
        ...(options.signal && { signal: options.signal }),
      }),
    );
  } catch (cause) {
    return { ok: false, why: "unreachable", cause };
  }
  if (!FROM_BETWEEN.has(answer.status)) heardFrom(hs, server);
  if (answer.status !== 200) return await refusalOf(hs, answer);
  const read = async (memory: AnswerMemory) =>
    await readAnswer(answer.body, expected, { memory, signal: options.signal });
  return await (options.memory ? read(options.memory) : withAnswerMemory(hs, read));
}

async function readAnswer<T>(
  body: Buffer,
  expected: z.ZodType<T>,
  { memory, signal }: { readonly memory: AnswerMemory; readonly signal: AbortSignal | undefined },
): Promise<RemoteAnswer<T>> {
  if (!(await memory.take(body.length, signal))) {
    const cause = new OutboundError("busy", "there is no memory for so large an answer");
    return { ok: false, why: "unreachable", cause };
  }
  try {
    const parsed = expected.safeParse(await parseAnswer(body));
    if (parsed.success) return { ok: true, body: parsed.data };
    memory.release();
    return { ok: false, why: "malformed", cause: parsed.error };
  } catch (cause) {
    memory.release();
    return { ok: false, why: "malformed", cause };
  }
}

/** The function that asks one kind of question. */
export function asking<Q, T>(
  hs: Homeserver,
  expected: z.ZodType<T>,
  questionOf: (question: Q) => Question,
): Ask<Q, T> {
  return (server, question, options) =>
    askServer(hs, server, { ...questionOf(question), expected }, options);
}

/**
 * Sends a request to the first of a server's places that can be reached.
 *
 * @param send sends it to one of them.
 * @throws OutboundError
 */
export async function reach<T>(
  hs: Homeserver,
  server: ServerName,
  question: Question,
  send: (request: Omit<OutboundRequest, "timeoutMs">) => Promise<T>,
): Promise<T> {
  if (!hs.config.federation.enabled) {
    throw new OutboundError("given-up", "federation is switched off: see federation.enabled");
  }
  if (server === hs.name) throw new OutboundError("given-up", "that is this server");
  const { method, uri } = question;
  const { content } = question;
  const body = typeof content === "object" ? laxCanonicalJson(content) : content;
  const request = {
    purpose: question.operation,
    method,
    path: uri,
    headers: {
      ...(!question.isUnsigned && { authorization: authorization(hs, server, question, body) }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body }),
    mostBytes: question.mostBytes ?? MOST_BYTES,
  };
  const places = await resolveServer(hs, server);
  return await firstReached(places, async (destination) => await send({ ...request, destination }));
}

/** @throws OutboundError of the last place that was tried. */
async function firstReached<T>(
  places: readonly Destination[],
  send: (destination: Destination) => Promise<T>,
): Promise<T> {
  const begun = performance.now();
  let failure: OutboundError | undefined;
  for (const destination of places) {
    try {
      return await send(destination);
    } catch (error) {
      failure = outboundErrorOf(error);
      if (!failure.isBeforeSending || performance.now() - begun > LONGEST_SEARCH_MS) throw failure;
    }
  }
  throw failure ?? new OutboundError("unknown-host", "the server is nowhere");
}

function authorization(
  hs: Homeserver,
  destination: ServerName,
  { method, uri }: Question,
  content: string | undefined,
): string {
  const request = { method, uri, origin: hs.name, destination };
  return xMatrixHeader(content === undefined ? request : { ...request, content }, hs.signingKey);
}

/** The longest refusal that is read: more than any is. */
const MOST_REFUSAL_BYTES = 256 * 1024;

const ErrorBody = z.looseObject({
  errcode: z.string().max(255).catch("M_UNKNOWN"),
  // Of whole ones, whatever who says it counts in: the database has no others.
  retry_after_ms: z.number().nonnegative().transform(Math.ceil).optional().catch(undefined),
});

/** What a server says that does not do what we asked. */
export async function refusalOf(
  hs: Homeserver,
  { status, headers, body }: OutboundAnswer,
): Promise<RemoteAnswer<never>> {
  // What is no JSON object is an error page of something before the server.
  const said = body.length > MOST_REFUSAL_BYTES ? {} : await parseAnswer(body).catch(() => ({}));
  const object = JsonObject.safeParse(said).data ?? {};
  const { errcode, retry_after_ms } = ErrorBody.parse(object);
  const retryAfterMs = retryAfter(headers.get("retry-after"), hs.now()) ?? retry_after_ms;
  return {
    ok: false,
    why: "refused",
    status,
    errcode,
    body: object,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

/** A `Retry-After` header: seconds, or a date (RFC 9110, 10.2.3). */
function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
