import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { decodeBase64 } from "#src/kit/base64.ts";
import { laxCanonicalJson, NotCanonicalError } from "#src/kit/canonical-json.ts";
import { verifyEd25519 } from "#src/kit/ed25519.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { heardFrom } from "../client/heard-from.ts";
import { parseServerNameParts } from "../client/parse-server-name.ts";
import { parseXMatrix, signedTextOfRequest, type XMatrix } from "../client/x-matrix.ts";
import type { PublishedKey } from "./key-document.ts";
import { verifyKeysOf } from "./verify-keys.ts";

/** A request whose body has been read. */
type ReceivedRequest = {
  readonly method: string;
  readonly uri: string;
  readonly authorization: string | undefined;
  readonly content?: { readonly text: Buffer; readonly json: unknown };
};

/**
 * Finds out which server a request comes from: the one that has signed it, for us, with a key that it
 * signs with now.
 *
 * @throws MatrixError M_UNAUTHORIZED if none has; M_FORBIDDEN if we do not federate.
 * @spec server-server-api#request-authentication
 */
export async function checkOrigin(hs: Homeserver, request: ReceivedRequest): Promise<ServerName> {
  if (!hs.config.federation.enabled) {
    throw new MatrixError("M_FORBIDDEN", "This server does not federate");
  }
  const header = parseXMatrix(request.authorization ?? "");
  if (!header) throw unauthorised("The Authorization header is not X-Matrix or not well formed");
  if (header.destination !== undefined && header.destination !== hs.name) {
    throw unauthorised("The request is for another server");
  }
  if (header.origin === hs.name || !parseServerNameParts(header.origin)) {
    throw unauthorised("The origin is not another server");
  }
  const origin = header.origin as ServerName;
  const key = await keyOf(hs, origin, header.key);
  if (!(await isSigned(request, header, { hs, key }))) throw unauthorised("Invalid signature");
  heardFrom(hs, origin);
  return origin;
}

async function keyOf(hs: Homeserver, origin: ServerName, keyId: string): Promise<PublishedKey> {
  const now = hs.now();
  const key = (await verifyKeysOf(hs, origin, [keyId], now)).get(keyId);
  if (!key) throw unauthorised("The signing key could not be found");
  // An old key verifies old events only.
  if (key.isOld || key.validUntilTs < now) {
    throw unauthorised("The signing key is no longer valid");
  }
  return key;
}

async function isSigned(
  { method, uri, content }: ReceivedRequest,
  { origin, sig }: XMatrix,
  { hs, key }: { hs: Homeserver; key: PublishedKey },
): Promise<boolean> {
  const signature = decodeBase64(sig);
  if (!signature) return false;
  const verify = async (text: string | undefined) =>
    await verifyEd25519(
      signedTextOfRequest({
        method,
        uri,
        origin,
        destination: hs.name,
        ...(text !== undefined && { content: text }),
      }),
      signature,
      key.publicKey,
    );
  if (!content) return await verify(undefined);
  // Most servers send what they have signed, letter for letter: nothing is encoded again.
  const sent = content.text.toString();
  if (await verify(sent)) return true;
  const canonical = canonicalText(content.json);
  return canonical !== undefined && canonical !== sent && (await verify(canonical));
}

function canonicalText(json: unknown): string | undefined {
  try {
    return laxCanonicalJson(json);
  } catch (error) {
    if (error instanceof NotCanonicalError) return undefined;
    throw error;
  }
}

function unauthorised(message: string): MatrixError {
  return new MatrixError("M_UNAUTHORIZED", message);
}
