import { isUtf8 } from "node:buffer";
import type { Readable } from "node:stream";
import type { Context } from "hono";
import type { z } from "zod";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { parseClientJson } from "#src/kit/wire-json.ts";
import type { BodyShare } from "./body-share.ts";
import { leaveOutNulls } from "./null-members.ts";
import { requireModestJson } from "./require-modest-json.ts";

/** The most bytes of a JSON body. Larger than any event, for uploads of keys and of many messages to devices. */
const MOST_BYTES = 8 * 1024 * 1024;

/** Whoever may be held to account for it may have a slow line. */
const USERS_LIMITS: BodyLimits = { mostBytes: MOST_BYTES, longestMs: 5 * 60_000 };

/** Who is not logged in sends little more than a password; the most are questions of servers for many keys. */
export const STRANGERS_LIMITS: BodyLimits = { mostBytes: 1024 * 1024, longestMs: 60_000 };

/**
 * Reads a JSON body and checks its form. Clients need not send a `Content-Type`, so the body is read
 * as JSON whatever it says. An empty body counts as an empty object: many clients send none.
 *
 * @param incoming the request as Node has it, which costs less than the web's.
 * @throws MatrixError M_NOT_JSON, M_BAD_JSON naming the first fault, M_TOO_LARGE; M_UNKNOWN with 408 if it takes too long.
 */
export async function readJsonBody<T>(
  request: Context["req"],
  incoming: Readable | undefined,
  schema: z.ZodType<T>,
  limits: BodyLimits = USERS_LIMITS,
): Promise<T> {
  const bytes = await readBody(request, incoming, limits);
  return checkBody(parseJson(bytes.toString()), schema);
}

export type BodyLimits = {
  readonly mostBytes: number;
  /** How long it may take to come whole, in milliseconds. */
  readonly longestMs?: number;
  /** What its bytes are counted in as they come. */
  readonly share?: Pick<BodyShare, "take">;
};

/**
 * Reads the bytes of a body.
 *
 * @throws MatrixError M_NOT_JSON if they are not UTF-8 or end early, M_TOO_LARGE; M_UNKNOWN with 408 if they take too
 *   long; M_LIMIT_EXCEEDED if there is no room for them.
 */
export async function readBody(
  request: Context["req"],
  incoming: Readable | undefined,
  limits: BodyLimits,
): Promise<Buffer> {
  const { mostBytes } = limits;
  const bytes = incoming
    ? await readBytes(incoming, limits)
    : Buffer.from(await request.arrayBuffer());
  if (bytes.length > mostBytes) throw tooLarge(mostBytes);
  if (!isUtf8(bytes)) throw new MatrixError("M_NOT_JSON", "The body is not UTF-8");
  return bytes;
}

/**
 * Checks the form of a body that has been parsed. A member of null that may be left out counts as one that is.
 *
 * @throws MatrixError M_BAD_JSON naming the first fault.
 */
export function checkBody<T>(body: unknown, schema: z.ZodType<T>): T {
  let result = schema.safeParse(body);
  if (!result.success && leaveOutNulls(body, schema, result.error.issues)) {
    result = schema.safeParse(body);
  }
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new MatrixError(
    "M_BAD_JSON",
    `${issue?.path.map(String).join(".") || "body"}: ${issue?.message ?? "invalid"}`,
  );
}

/** Reads a body as it comes, and no further than we take. */
async function readBytes(
  incoming: Readable,
  { mostBytes, longestMs, share }: BodyLimits,
): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let size = 0;
  const refuse = (error: unknown) => {
    reject(error as Error);
    chunks.length = 0;
    // What still comes is thrown away: the answer goes out on the same connection.
    size = Infinity;
  };
  incoming.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size === Infinity) return;
    try {
      if (size > mostBytes) throw tooLarge(mostBytes);
      share?.take(chunk.length);
      chunks.push(chunk);
    } catch (error) {
      refuse(error);
    }
  });
  const broken = (cause?: unknown) => {
    refuse(new MatrixError("M_NOT_JSON", "The body has not come whole", { cause }));
  };
  incoming.on("end", () => {
    // It is told afterwards as well that a body that has come whole is closed.
    incoming.off("close", broken);
    resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
  });
  incoming.on("error", broken);
  incoming.on("close", broken);
  // Who has gone meanwhile is not told of again.
  if (incoming.destroyed) broken();
  const tooLong = () =>
    refuse(new MatrixError("M_UNKNOWN", "The request took too long", { status: 408 }));
  const timer = longestMs === undefined ? undefined : setTimeout(tooLong, longestMs);
  return await promise.finally(() => clearTimeout(timer));
}

/**
 * Parses the JSON of a body.
 *
 * @throws MatrixError M_NOT_JSON; M_BAD_JSON if it is nested too deep; M_TOO_LARGE if there is too much in it.
 */
function parseJson(text: string): unknown {
  if (text.trim() === "") return {};
  requireModestJson(text);
  try {
    return parseClientJson(text);
  } catch (cause) {
    throw new MatrixError("M_NOT_JSON", "The body is not JSON", { cause });
  }
}

function tooLarge(mostBytes: number): MatrixError {
  return new MatrixError("M_TOO_LARGE", `The body is larger than ${mostBytes} bytes`);
}
