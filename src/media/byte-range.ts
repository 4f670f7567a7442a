import type { ByteRange } from "#src/homeserver/blob-store.ts";

/**
 * Reads a `Range` header (RFC 9110, section 14).
 *
 * @returns undefined if the whole file is to be sent: there is no header, or one that we do not
 *   serve, such as one with several ranges; "unsatisfiable" if the file has no such part.
 */
export function readByteRange(
  header: string | undefined,
  sizeBytes: number,
): ByteRange | "unsatisfiable" | undefined {
  const parts = /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(header ?? "");
  const [, first = "", last = ""] = parts ?? [];
  if (first === "") return last === "" ? undefined : lastBytes(Number(last), sizeBytes);
  const start = Number(first);
  const end = last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (last !== "" && Number(last) < start) return undefined;
  return start < sizeBytes ? { start, end } : "unsatisfiable";
}

function lastBytes(count: number, sizeBytes: number): ByteRange | "unsatisfiable" {
  const length = Math.min(count, sizeBytes);
  return length > 0 ? { start: sizeBytes - length, end: sizeBytes } : "unsatisfiable";
}
