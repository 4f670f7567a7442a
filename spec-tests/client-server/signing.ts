import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";

/** A pair of keys as clients and servers have them. */
export type SigningPair = { readonly publicKey: string; readonly privateKey: KeyObject };

/** @spec appendices#unpadded-base64 */
export function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64").replaceAll("=", "");
}

export function newPair(): SigningPair {
  return pairOf(generateKeyPairSync("ed25519").privateKey);
}

/** The pair of a server of this name, the same each time: one may get the port that another had, and be taken for it. */
export function pairNamed(name: string): SigningPair {
  const seed = createHash("sha256").update(name).digest();
  const der = Buffer.concat([PKCS8_OF_ED25519, seed]);
  return pairOf(createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
}

/** What comes before the 32 bytes of a private key. @see RFC 8410, section 7 */
const PKCS8_OF_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");

function pairOf(privateKey: KeyObject): SigningPair {
  const { x = "" } = createPublicKey(privateKey).export({ format: "jwk" });
  return { publicKey: unpadded(Buffer.from(x, "base64url")), privateKey };
}

/** JSON with its keys in order. Those of the tests are ASCII, and their numbers small. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, it]) => [key, inOrder(it)]));
}

/** The text of JSON that is hashed and signed. @spec appendices#canonical-json */
export function canonicalText(value: unknown): string {
  return JSON.stringify(inOrder(value));
}

/** What signatures there are, by who has signed and with which key. */
export type Signatures = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * Signs an object as a user or a server.
 *
 * @param name what the key is called: a device's ID, the key itself, or a version.
 * @spec appendices#signing-json
 */
export function signed<T extends object>(
  object: T,
  signer: string,
  { name, pair }: { readonly name: string; readonly pair: SigningPair },
): T & { readonly signatures: Signatures } {
  const {
    signatures,
    unsigned: _,
    ...rest
  } = object as T & {
    readonly signatures?: Signatures;
    readonly unsigned?: object;
  };
  const bytes = Buffer.from(canonicalText(rest));
  const signature = unpadded(sign(null, bytes, pair.privateKey));
  const own = { ...signatures?.[signer], [`ed25519:${name}`]: signature };
  return { ...object, signatures: { ...signatures, [signer]: own } };
}

/** The keys of a device, signed by it. */
export function deviceKeys(
  { userId, deviceId }: { readonly userId: string; readonly deviceId: string },
  pair: SigningPair,
) {
  const keys = {
    user_id: userId,
    device_id: deviceId,
    algorithms: ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
    keys: {
      [`ed25519:${deviceId}`]: pair.publicKey,
      [`curve25519:${deviceId}`]: unpadded(randomBytes(32)),
    },
    signatures: {},
  };
  return signed(keys, userId, { name: deviceId, pair });
}

/** A one-time or fallback key, signed by its device. */
export function oneTimeKey(
  { userId, deviceId }: { readonly userId: string; readonly deviceId: string },
  pair: SigningPair,
  further: object = {},
) {
  const key = { key: unpadded(randomBytes(32)), ...further };
  return signed(key, userId, { name: deviceId, pair });
}

/** A cross-signing key, signed by another unless it is the first of them. */
export function crossSigningKey(
  userId: string,
  usage: string,
  { pair, by }: { readonly pair: SigningPair; readonly by?: SigningPair },
) {
  const key = {
    user_id: userId,
    usage: [usage],
    keys: { [`ed25519:${pair.publicKey}`]: pair.publicKey },
  };
  return by === undefined
    ? { ...key, signatures: {} }
    : signed(key, userId, { name: by.publicKey, pair: by });
}
