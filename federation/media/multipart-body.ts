import { randomBytes } from "node:crypto";

const CRLF = "\r\n";

/** The two parts with which media is given to other servers. */
export type MultipartBody = {
  readonly boundary: string;
  /** Comes before the media: the first part, and the headers of the second. */
  readonly before: Uint8Array;
  /** Comes after it. */
  readonly after: Uint8Array;
};

/**
 * What is put around media for another server: a first part that describes it, in which there is nothing
 * to say yet, and the headers of the second.
 *
 * @spec server-server-api#get_matrixfederationv1mediadownloadmediaid
 */
export function multipartAround(headers: {
  readonly "Content-Type": string;
  readonly "Content-Disposition": string;
}): MultipartBody {
  // That the media has these bytes in it nobody will live to see.
  const boundary = randomBytes(24).toString("hex");
  const lines = [
    `--${boundary}`,
    "Content-Type: application/json",
    "",
    "{}",
    `--${boundary}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "",
    "",
  ];
  return {
    boundary,
    before: Buffer.from(lines.join(CRLF)),
    after: Buffer.from(`${CRLF}--${boundary}--${CRLF}`),
  };
}
