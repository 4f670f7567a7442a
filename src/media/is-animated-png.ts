import { open } from "node:fs/promises";

/** An animation says that it is one before its first picture; what may stand before that is short. */
const LOOK_BYTES = 64 * 1024;

const SIGNATURE_BYTES = 8;

/**
 * Whether a PNG file moves (APNG): whether it has an `acTL` chunk before its first `IDAT`. If that
 * cannot be seen at its beginning, it is taken for one that does.
 */
export async function isAnimatedPng(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LOOK_BYTES), 0, LOOK_BYTES, 0);
    return saysItMoves(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

function saysItMoves(bytes: Buffer): boolean {
  let at = SIGNATURE_BYTES;
  // A chunk: its length, its type, as many bytes as it says, and four of a checksum.
  while (at + 8 <= bytes.length) {
    const type = bytes.toString("latin1", at + 4, at + 8);
    if (type === "acTL") return true;
    if (type === "IDAT") return false;
    at += 12 + bytes.readUInt32BE(at);
  }
  return true;
}
