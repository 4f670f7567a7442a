/**
 * Why no answer came. Nothing has been sent if it is one of the first four: another host of the same
 * server may do better.
 */
export type OutboundFault =
  /** The name leads to an address that may not be connected to. */
  | "forbidden-address"
  /** The name leads nowhere. */
  | "unknown-host"
  | "unreachable"
  /** The certificate is not for whom we expect, or nobody vouches for it. */
  | "untrusted"
  /** As many wait for this destination as may. */
  | "busy"
  | "timeout"
  | "too-large"
  /** It redirects where we do not follow. */
  | "redirect"
  | "broken"
  /** The caller has no more use for it, or we are stopping. */
  | "given-up";

/** A request that has had no answer. */
export class OutboundError extends Error {
  override readonly name = "OutboundError";
  readonly fault: OutboundFault;

  constructor(fault: OutboundFault, message: string, cause?: unknown) {
    super(message, { cause });
    this.fault = fault;
  }

  /** Whether nothing has been sent. */
  get isBeforeSending(): boolean {
    return NOT_SENT.has(this.fault);
  }
}

const NOT_SENT: ReadonlySet<OutboundFault> = new Set([
  "forbidden-address",
  "unknown-host",
  "unreachable",
  "untrusted",
]);

const FAULTS: ReadonlyMap<string, OutboundFault> = new Map([
  ["UND_ERR_CONNECT_TIMEOUT", "unreachable"],
  ["UND_ERR_HEADERS_TIMEOUT", "timeout"],
  ["UND_ERR_BODY_TIMEOUT", "timeout"],
  ["TimeoutError", "timeout"],
  ["AbortError", "given-up"],
  ["UND_ERR_ABORTED", "given-up"],
  ["ENOTFOUND", "unknown-host"],
  ["ENODATA", "unknown-host"],
  ["EAI_AGAIN", "unknown-host"],
  ["ESERVFAIL", "unknown-host"],
  ["EREFUSED", "unknown-host"],
  ["ECONNREFUSED", "unreachable"],
  ["EHOSTUNREACH", "unreachable"],
  ["ENETUNREACH", "unreachable"],
  ["EADDRNOTAVAIL", "unreachable"],
  ["ETIMEDOUT", "unreachable"],
]);

/** Codes of OpenSSL's verdicts on certificates, and Node's. */
const CERTIFICATE = /CERT|UNABLE_TO_|SELF_SIGNED|ERR_TLS|ERR_SSL|EPROTO/;

/** Reads what the system, TLS or the client of HTTP threw. */
export function outboundErrorOf(error: unknown): OutboundError {
  if (error instanceof OutboundError) return error;
  if (!(error instanceof Error)) return new OutboundError("broken", "no answer", error);
  const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
  const fault = FAULTS.get(code) ?? (CERTIFICATE.test(code) ? "untrusted" : "broken");
  return new OutboundError(fault, error.message, error);
}
