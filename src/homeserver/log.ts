import { constants, fstatSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import pino, { type DestinationStream, type Logger } from "pino";
import type PinoPretty from "pino-pretty";
import { requestContext } from "./request-context.ts";

/** How to log. */
export type LogOptions = {
  readonly level: "fatal" | "error" | "warn" | "info" | "debug" | "trace";
  /** `auto` is pretty on a terminal and JSON elsewhere. */
  readonly format: "auto" | "json" | "pretty";
};

/**
 * Fields that must never reach a log, at the top of a line and one level down. Nobody should log them; this is for
 * the day somebody logs a whole request, event or row.
 */
const SECRET_FIELDS = [
  "access_token",
  "accessToken",
  "refresh_token",
  "refreshToken",
  "authorization",
  "cookie",
  "password",
  "secret",
  "token",
  "content",
  "body",
  "formatted_body",
  "json",
  "parameters",
  "query",
];

/**
 * The process's log. Lines made while a request is answered carry its ID and operation.
 *
 * @param destination where lines go, if not to standard output
 */
export function createLogger(options: LogOptions, destination?: DestinationStream): Logger {
  const settings = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    mixin: () => requestContext.getStore() ?? {},
    serializers: { err: describeError },
    redact: {
      paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]),
      censor: "[private]",
    },
  };
  if (destination !== undefined) return pino(settings, destination);
  if (!isPretty(options.format)) return pino(settings, jsonLines(1));
  return pino(settings, prettyLines());
}

/** As much of what could not be written is kept until it can be; of more only the newest lines are lost. In bytes. */
const MOST_UNWRITTEN_BYTES = 1024 * 1024;

/** How long whoever reads them may be behind before nobody waits for that. */
const PATIENCE_MS = 1_000;

/**
 * Lines for programs, each written when it is said. Neither a full disk nor a pipe from which nobody reads any more keeps
 * anybody from anything but reading them.
 */
export function jsonLines(fd: number): DestinationStream {
  let fullSince: number | undefined;
  const lines = pino.destination({
    fd: withoutWaiting(fd),
    sync: true,
    maxLength: MOST_UNWRITTEN_BYTES,
    retryEAGAIN() {
      fullSince ??= performance.now();
      return performance.now() - fullSince < PATIENCE_MS;
    },
  });
  // To try again is said to have written nothing.
  lines.on("write", (count: number) => {
    if (count > 0) fullSince = undefined;
  });
  // Where nobody listens for it, whoever had something to say gets the error.
  lines.on("error", () => {});
  return lines;
}

/** The same pipe, where to write fails as long as it is full: else all that we do would stand still. Others as they are. */
function withoutWaiting(fd: number): number {
  if (process.platform !== "linux") return fd;
  try {
    if (!fstatSync(fd).isFIFO()) return fd;
    // Opened anew, since others may write to what we were given, who expect to wait.
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // It may be somebody else's, or closed.
    return fd;
  }
}

/** Lines for people. In this process and at once: what is said before an end by a fault is seen, too. */
function prettyLines(): DestinationStream {
  // Loaded here, since most servers never need it.
  const pretty: typeof PinoPretty = createRequire(import.meta.url)("pino-pretty");
  return pretty({ colorize: process.stdout.isTTY, translateTime: "SYS:HH:MM:ss.l", sync: true });
}

function isPretty(format: LogOptions["format"]): boolean {
  return format === "pretty" || (format === "auto" && process.stdout.isTTY);
}

/**
 * What a log says of an error: its kind, code, text and stack, and the same of its causes. Not the other fields,
 * among which a database error has the statement's parameters and the row that broke a constraint.
 */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { type: typeof error };
  return {
    type: error.name,
    message: error.message,
    ...("code" in error && { code: error.code }),
    ...(error.stack !== undefined && { stack: error.stack }),
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  };
}
