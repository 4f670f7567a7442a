import { randomBytes } from "node:crypto";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { parseServerName } from "#src/kit/server-name.ts";

/** What an `mxc://` URI says: whose media it is, and which. */
export type Mxc = { readonly origin: ServerName; readonly mediaId: string };

/** Letters that can lead nowhere, whatever a media ID is made part of. */
const MEDIA_ID = /^[A-Za-z0-9_-]{1,255}$/;

/**
 * Reads the two parts of an `mxc://` URI as they come in a path.
 *
 * @throws MatrixError M_INVALID_PARAM
 * @spec client-server-api#security-considerations-idcontent-repo-security-considerations
 */
export function parseMxc(serverName = "", mediaId = ""): Mxc {
  const origin = parseServerName(serverName);
  if (!MEDIA_ID.test(mediaId)) throw new MatrixError("M_INVALID_PARAM", "Not a valid media ID");
  return { origin, mediaId };
}

/** @spec client-server-api#matrix-content-mxc-uris */
export function mxcUri({ origin, mediaId }: Mxc): string {
  return `mxc://${origin}/${mediaId}`;
}

/** A media ID that no media has, and that nobody can guess: it is all one needs to know to fetch the media. */
export function newMediaId(): string {
  return randomBytes(18).toString("base64url");
}
