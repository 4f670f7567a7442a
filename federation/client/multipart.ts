import { OutboundError } from "#src/outbound/outbound-failure.ts";

const CRLF = "\r\n";

/** The most bytes of what stands before the second part: boundaries, headers, and the JSON. */
const MOST_BEFORE = 64 * 1024;

/** The second of the two parts with which servers answer who asks for media. */
export type MediaPart = {
  /** By their names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Its bytes as they come; ends with an error if the boundary after it does not come. */
  readonly content: AsyncGenerator<Buffer>;
};

/** The boundary that a `Content-Type` names, if it is `multipart/mixed`. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  const match = /^multipart\/mixed\s*;(.*)$/is.exec(contentType ?? "");
  const boundary = /(?:^|;)\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(match?.[1] ?? "");
  return boundary?.[1] ?? boundary?.[2];
}

/**
 * Reads a body of two parts up to where the second begins. The first describes the media and has
 * nothing to say yet.
 *
 * @param chunks the body.
 * @throws OutboundError `broken` if it is no such body, `too-large` if too much comes before.
 * @spec server-server-api#get_matrixfederationv1mediadownloadmediaid
 */
export async function readMediaPart(
  chunks: AsyncIterable<Buffer>,
  boundary: string,
): Promise<MediaPart> {
  const reader = readerOf(chunks[Symbol.asyncIterator]());
  await reader.until(`--${boundary}`);
  await reader.until(CRLF + CRLF);
  await reader.until(`${CRLF}--${boundary}`);
  const headers = parseHeaders(await reader.until(CRLF + CRLF));
  return { headers, content: reader.contentUntil(`${CRLF}--${boundary}`) };
}

function readerOf(chunks: AsyncIterator<Buffer>) {
  let held: Buffer = Buffer.alloc(0);
  let before = 0;

  const more = async () => {
    const { done, value } = await chunks.next();
    if (done) throw new OutboundError("broken", "the parts of an answer have not come whole");
    held = held.length === 0 ? value : Buffer.concat([held, value]);
  };

  return {
    /** What comes before a mark, which is taken, too. */
    async until(mark: string): Promise<string> {
      let at = held.indexOf(mark);
      while (at < 0) {
        if (before + held.length > MOST_BEFORE) {
          throw new OutboundError("too-large", `more than ${MOST_BEFORE} bytes before the media`);
        }
        await more();
        at = held.indexOf(mark);
      }
      const found = held.toString("utf8", 0, at);
      held = held.subarray(at + mark.length);
      before += at + mark.length;
      return found;
    },

    async *contentUntil(mark: string): AsyncGenerator<Buffer> {
      try {
        for (let at = held.indexOf(mark); ; at = held.indexOf(mark)) {
          // The end of what is there may be the beginning of the mark.
          const sure = at < 0 ? held.length - mark.length + 1 : at;
          if (sure > 0) yield held.subarray(0, sure);
          if (at >= 0) return;
          if (sure > 0) held = held.subarray(sure);
          await more();
        }
      } finally {
        await chunks.return?.();
      }
    },
  };
}

function parseHeaders(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split(CRLF)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    if (name !== "" && !found.has(name)) found.set(name, line.slice(colon + 1).trim());
  }
  return found;
}
