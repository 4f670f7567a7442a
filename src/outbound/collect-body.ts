import type { Readable } from "node:stream";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { OutboundError } from "./outbound-failure.ts";

/** The most bytes of answers that a process holds at once: many large ones must not add up. */
const MOST_HELD_BYTES = 512 * 1024 * 1024;

/** An answer of no more than these is read all the same: whoever sends large ones slowly must not have nobody else be heard. */
const SMALL_BYTES = 64 * 1024;

const heldBytesOf = held(() => ({ bytes: 0 }));

/**
 * Reads a body to its end.
 *
 * @throws OutboundError `too-large` if it has more bytes than it may, `busy` if others have too many.
 */
export async function collectBody(
  hs: Homeserver,
  body: Readable,
  mostBytes: number,
): Promise<Buffer> {
  const all = heldBytesOf(hs);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      all.bytes += chunk.length;
      // Leaving the loop destroys the body, and with it the connection.
      if (size > mostBytes) throw new OutboundError("too-large", `more than ${mostBytes} bytes`);
      if (all.bytes > MOST_HELD_BYTES && size > SMALL_BYTES) {
        throw new OutboundError("busy", "too many large answers at once");
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  } finally {
    all.bytes -= size;
  }
}
