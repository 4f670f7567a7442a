const UNKNOWN = "application/octet-stream";

/** `type/subtype` and parameters, of the characters that headers may have. */
const CONTENT_TYPE =
  /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;\s*[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|"[\x20\x21\x23-\x5b\x5d-\x7e]*"))*\s*;?$/;

/** Types that no browser runs as a program, whoever has uploaded the file. */
const INLINE = new Set([
  "text/css",
  "text/plain",
  "text/csv",
  "application/json",
  "application/ld+json",
  "image/jpeg",
  "image/gif",
  "image/png",
  "image/apng",
  "image/webp",
  "image/avif",
  "video/mp4",
  "video/webm",
  "video/ogg",
  "video/quicktime",
  "audio/mp4",
  "audio/webm",
  "audio/aac",
  "audio/mpeg",
  "audio/ogg",
  "audio/wave",
  "audio/wav",
  "audio/x-wav",
  "audio/x-pn-wav",
  "audio/flac",
  "audio/x-flac",
]);

/**
 * The content type that an uploader gives, or that of unknown bytes if it gives none or one that
 * could not be said to others.
 */
export function readContentType(header: string | undefined): string {
  if (header === undefined || header.length > 255) return UNKNOWN;
  const type = header.trim();
  return CONTENT_TYPE.test(type) ? type : UNKNOWN;
}

/** The type without its parameters, in lower case. */
export function essenceOf(contentType: string): string {
  return (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
}

/**
 * The `Content-Disposition` of a file: shown in place only if its type is harmless.
 *
 * @spec client-server-api#get_matrixclientv1mediadownloadservernamemediaid
 */
export function contentDisposition(contentType: string, filename: string | undefined): string {
  const disposition = INLINE.has(essenceOf(contentType)) ? "inline" : "attachment";
  if (filename === undefined) return disposition;
  // RFC 6266: a quoted string if it is plain, and else the extended form, with its own escapes.
  if (/^[\x20-\x7e]*$/.test(filename) && !/["\\%]/.test(filename)) {
    return `${disposition}; filename="${filename}"`;
  }
  const escaped = encodeURIComponent(filename.toWellFormed()).replace(
    /['()*]/g,
    (it) => `%${it.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${disposition}; filename*=utf-8''${escaped}`;
}

/** The longest file name that another server may give. In characters. */
const MOST_NAME_LENGTH = 255;

/** The file name that a `Content-Disposition` has, if it can be read. */
export function filenameIn(disposition: string | undefined): string | undefined {
  const extended = /;\s*filename\*=utf-8'[^']*'([^\s;]+)/i.exec(disposition ?? "")?.[1];
  const plain = /;\s*filename=(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))/i.exec(disposition ?? "");
  const name = unescaped(extended) ?? plain?.[1]?.replace(/\\(.)/g, "$1") ?? plain?.[2];
  if (name === undefined || name === "" || name.includes("\0")) return undefined;
  return name.toWellFormed().slice(0, MOST_NAME_LENGTH);
}

function unescaped(text: string | undefined): string | undefined {
  try {
    return text === undefined ? undefined : decodeURIComponent(text);
  } catch {
    // Not what it says it is: the plain form may be there too.
    return undefined;
  }
}
