/** The encoding of hashes, keys and signatures. @spec appendices#unpadded-base64 */
export function unpaddedBase64(bytes: Uint8Array): string {
  const text = asBuffer(bytes).toString("base64");
  const padding = text.indexOf("=");
  return padding < 0 ? text : text.slice(0, padding);
}

/** The encoding of event IDs since room version 4. @spec appendices#url-safe-unpadded-base64 */
export function urlSafeBase64(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("base64url");
}

const BASE64 = /^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}$/;

/**
 * Decodes Base64, as leniently as the specification asks: padded or not, in either alphabet.
 *
 * @returns undefined for what is no Base64 at all, instead of some of its bytes.
 * @spec appendices#unpadded-base64
 */
export function decodeBase64(text: string): Buffer | undefined {
  if (!BASE64.test(text)) return undefined;
  const digits = text.replace(/=+$/, "");
  // One digit left over holds six bits, which are no byte.
  return digits.length % 4 === 1 ? undefined : Buffer.from(digits, "base64");
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
