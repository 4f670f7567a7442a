import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";

/** The length of a seed, of a public key, and of half a signature, in bytes. */
const BYTES = 32;

/**
 * Ed25519 over node:crypto: OpenSSL's arithmetic, which refuses exactly the signatures that OpenSSL
 * does, and besides those the points of small order that libsodium refuses. With the two rules the
 * servers that use libsodium and this one agree on every published edge case.
 *
 * (Not @noble/ed25519 for verification: its ZIP215 rules accept nine of them that others refuse.)
 */
export function ed25519PrivateKey(seed: Uint8Array): KeyObject {
  if (seed.byteLength !== BYTES) throw new RangeError("An Ed25519 seed has 32 bytes");
  return createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seed]),
    format: "der",
    type: "pkcs8",
  });
}

// The DER of a PKCS #8 private key (RFC 8410, 7), up to the seed.
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** The public half of a private key, as the 32 bytes that are published. */
export function ed25519PublicBytes(privateKey: KeyObject): Uint8Array {
  const { x = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  return Buffer.from(x, "base64url");
}

/**
 * Reads a public key. Undefined if the bytes are no key that could verify anything: of another
 * length, not the one encoding of their point, or of small order.
 */
export function ed25519PublicKey(bytes: Uint8Array): KeyObject | undefined {
  if (bytes.byteLength !== BYTES || !isCanonicalPoint(bytes) || isSmallOrder(bytes)) {
    return undefined;
  }
  try {
    const x = Buffer.from(bytes).toString("base64url");
    return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  } catch {
    return undefined;
  }
}

/** Signs, on the calling thread: about 40 µs. */
export function signEd25519(text: Uint8Array, privateKey: KeyObject): Uint8Array {
  return sign(null, text, privateKey);
}

/** Verifies off the event loop, in the thread pool. */
export function verifyEd25519(
  text: Uint8Array,
  signature: Uint8Array,
  publicKey: KeyObject,
): Promise<boolean> {
  if (!isPossibleSignature(signature)) return Promise.resolve(false);
  return new Promise((resolve) => {
    verify(null, text, publicKey, signature, (error, valid) => resolve(!error && valid));
  });
}

/** Verifies on the calling thread: about 100 µs. For rules that are a function of their arguments. */
export function verifyEd25519Sync(
  text: Uint8Array,
  signature: Uint8Array,
  publicKey: KeyObject,
): boolean {
  return isPossibleSignature(signature) && verify(null, text, publicKey, signature);
}

function isPossibleSignature(signature: Uint8Array): boolean {
  return signature.byteLength === 2 * BYTES && !isSmallOrder(signature.subarray(0, BYTES));
}

/** The y of every point of small order, and the two encodings of such a y that are not reduced. */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

function isSmallOrder(point: Uint8Array): boolean {
  return SMALL_ORDER.has(withoutSign(point).toString("hex"));
}

/** Whether y is below the field's prime, 2²⁵⁵ − 19. */
function isCanonicalPoint(point: Uint8Array): boolean {
  const [lowest = 0, ...rest] = withoutSign(point);
  const highest = rest.pop();
  return lowest < 0xed || highest !== 0x7f || rest.some((byte) => byte !== 0xff);
}

/** A point's y: its encoding without the topmost bit, which is the sign of x. */
function withoutSign(point: Uint8Array): Buffer {
  const y = Buffer.from(point);
  y[BYTES - 1] = (y[BYTES - 1] ?? 0) & 0x7f;
  return y;
}
