import { laxCanonicalJson } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { type SigningKey, signText } from "#src/kit/signed-json.ts";

/** What of a request is signed. */
export type SignedParts = {
  readonly method: string;
  /** From `/_matrix` on, with the query string: exactly what goes on the request line. */
  readonly uri: string;
  readonly origin: string;
  /** Absent only in requests of old servers. */
  readonly destination?: string;
  /** The body's text as Canonical JSON. */
  readonly content?: string;
};

/**
 * The text that a signature of a request covers. Its body may hold events of old rooms, with numbers
 * that Canonical JSON proper does not have, so the text of those is taken as it is.
 *
 * @spec server-server-api#request-authentication
 */
export function signedTextOfRequest({ content, ...parts }: SignedParts): Buffer {
  // `content` comes first in the order of keys.
  const rest = laxCanonicalJson(parts).slice(1);
  return Buffer.from(content === undefined ? `{${rest}` : `{"content":${content},${rest}`);
}

/**
 * The `Authorization` header of a request to another server.
 *
 * Written as old servers need it: one space after the scheme, lower-case names, no space around the
 * commas, every value in quotes, no backslashes.
 *
 * @param content the body's text, in Canonical JSON.
 * @spec server-server-api#request-authentication
 */
export function xMatrixHeader(
  request: SignedParts & { readonly origin: ServerName; readonly destination: ServerName },
  key: SigningKey,
): string {
  const { origin, destination } = request;
  const sig = signText(signedTextOfRequest(request), key);
  return `X-Matrix origin="${origin}",destination="${destination}",key="${key.keyId}",sig="${sig}"`;
}

/** The parameters of an `Authorization` header of another server. */
export type XMatrix = {
  readonly origin: string;
  readonly destination?: string;
  readonly key: string;
  readonly sig: string;
};

/** One parameter: a name, and a quoted string or what old servers write for one (colons, slashes). */
const PARAMETER = /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]*))\s*/sy;

/** No header of a server is longer. */
const LONGEST = 4096;

/**
 * Reads an `Authorization` header, in whatever way RFC 9110 lets it be written; parameters that we do
 * not know are passed over.
 *
 * @returns undefined if it is another scheme, is not well formed, or lacks what it must have.
 * @spec server-server-api#request-authentication
 */
export function parseXMatrix(header: string): XMatrix | undefined {
  const scheme = /^X-Matrix +/i.exec(header);
  if (!scheme || header.length > LONGEST) return undefined;
  const parameters = parseParameters(header.slice(scheme[0].length));
  if (!parameters) return undefined;
  const origin = parameters.get("origin");
  const destination = parameters.get("destination");
  const key = parameters.get("key");
  const sig = parameters.get("sig");
  if (!origin || !key || !sig) return undefined;
  return { origin, key, sig, ...(destination !== undefined && { destination }) };
}

function parseParameters(text: string): ReadonlyMap<string, string> | undefined {
  const found = new Map<string, string>();
  for (let at = 0; at < text.length; at++) {
    PARAMETER.lastIndex = at;
    const match = PARAMETER.exec(text);
    if (!match) {
      // Between two commas, and after the last, there may be nothing.
      if (/\s/.test(text.charAt(at)) || text.charAt(at) === ",") continue;
      return undefined;
    }
    const [whole, name = "", quoted, token = ""] = match;
    at += whole.length;
    if (at < text.length && text.charAt(at) !== ",") return undefined;
    const key = name.toLowerCase();
    // What is said twice could be read by each as they like.
    if (found.has(key)) return undefined;
    found.set(key, quoted === undefined ? token : quoted.replace(/\\(.)/gs, "$1"));
  }
  return found;
}
