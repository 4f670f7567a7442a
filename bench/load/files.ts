import { createHash, randomBytes } from "node:crypto";
import sharp from "sharp";
import { z } from "zod";
import { DeliveryError } from "./delivery.ts";
import type { HttpConnection } from "./http-connection.ts";
import { type Account, ask, type File } from "./matrix-client.ts";

/** A file that is stored, and how it is known to be the same when it comes back. */
export type StoredFile = { readonly path: string; readonly sha256: string };

const uploaded = z.object({ content_uri: z.string().startsWith("mxc://") });

/** Bytes like those of an encrypted file: nothing can make less of them. */
export function encryptedFile(sizeBytes: number): File {
  return { bytes: randomBytes(sizeBytes), contentType: "application/octet-stream" };
}

/** A photograph of twelve megapixels, as a phone makes it: a different one for each number. */
export async function photograph(number: number): Promise<File> {
  const [width, height] = [4000, 3000];
  // Blurred noise has about as much in it as a photograph.
  const noise = { type: "gaussian", mean: 100 + number, sigma: 60 } as const;
  const small = await sharp({
    create: { width: width / 4, height: height / 4, channels: 3, noise, background: "black" },
  })
    .blur(2)
    .png()
    .toBuffer();
  const bytes = await sharp(small).resize(width, height).jpeg({ quality: 90 }).toBuffer();
  return { bytes, contentType: "image/jpeg" };
}

/** Uploads a file. */
export async function upload(
  connection: HttpConnection,
  account: Account,
  file: File,
): Promise<StoredFile> {
  const answer = await ask(connection, {
    method: "POST",
    prefix: "/_matrix/media/v3",
    path: "/upload",
    account,
    body: file,
  });
  const { content_uri: uri } = uploaded.parse(JSON.parse(answer.toString()));
  return { path: uri.slice("mxc://".length), sha256: digestOf(file.bytes) };
}

/**
 * Downloads a file.
 *
 * @throws DeliveryError if it is not as it went up
 */
export async function download(
  connection: HttpConnection,
  account: Account,
  { path, sha256 }: StoredFile,
): Promise<void> {
  const asked = { method: "GET", prefix: "/v1/media", path: `/download/${path}`, account } as const;
  const bytes = await ask(connection, asked);
  if (digestOf(bytes) !== sha256) throw new DeliveryError("a file came back as another");
}

/**
 * Has a thumbnail made.
 *
 * @throws DeliveryError if it is none
 */
export async function thumbnail(
  connection: HttpConnection,
  account: Account,
  { path }: StoredFile,
): Promise<void> {
  const query = "width=800&height=600&method=scale";
  const asked = { method: "GET", prefix: "/v1/media", account } as const;
  const bytes = await ask(connection, { ...asked, path: `/thumbnail/${path}?${query}` });
  const { width, height } = await sharp(bytes).metadata();
  if (width !== 800 || height !== 600) throw new DeliveryError("a thumbnail has another size");
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
