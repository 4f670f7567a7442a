import type sharpModule from "sharp";
import type { Metadata, Sharp } from "sharp";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { isAnimatedPng } from "./is-animated-png.ts";
import { type Size, type ThumbnailSpec, thumbnailSize } from "./thumbnail-size.ts";

/** The decoders that may be fed with what strangers upload: those of these file types, and no other. */
const DECODERS = ["JpegFile", "PngFile", "WebpFile", "NsgifFile", "HeifFile"];

/** Animations with more pictures get a thumbnail that does not move. */
const MOST_FRAMES = 300;

const MOST_SECONDS = 20;

/** No file format in use has longer sides, and a picture of one column takes as long as one of many. */
const LONGEST_SIDE = 65_535;

/** Of how many pixels a decoder may have one, that has the whole picture in memory several times. */
const WHOLE_IN_MEMORY: ReadonlyMap<string, number> = new Map([["heif", 4]]);

/** The smallest size that most clients ask for to show a picture by. */
const MOST_SHARP_PIXELS = 320 * 240;

/** What a picture's file may have besides its pixels, in bytes. */
const OVERHEAD_BYTES = 64 * 1024;

/** What a picture's file says of its type, for those that may be sent as a thumbnail as they are. */
const CONTENT_TYPES = new Map([
  ["jpeg", "image/jpeg"],
  ["png", "image/png"],
  ["gif", "image/gif"],
  ["webp", "image/webp"],
]);

/** A picture, or that the file itself is what is wanted. */
export type Thumbnail =
  | { readonly outcome: "made"; readonly bytes: Uint8Array; readonly contentType: string }
  | { readonly outcome: "original"; readonly contentType: string };

/**
 * Makes a thumbnail of a picture. Decoding happens on threads of libvips, in bounded memory: the
 * picture's size is looked at before any of it is decoded.
 *
 * @param file what somebody has uploaded. What type it has is seen from its content.
 * @param wanted what `roundUp` says.
 * @throws MatrixError M_UNKNOWN (400) if it is no picture of a type that we decode, or a broken one;
 *   M_TOO_LARGE if it has more pixels than the limit.
 */
export async function makeThumbnail(
  { path, sizeBytes }: { readonly path: string; readonly sizeBytes: number },
  wanted: ThumbnailSpec,
  mostPixels: number,
): Promise<Thumbnail> {
  const sharp = await loadSharp();
  const about = await sharp(path, { limitInputPixels: false }).metadata().catch(unreadable);
  const picture = about.autoOrient;
  if (isTooLarge(about, mostPixels)) {
    throw new MatrixError("M_TOO_LARGE", "Content is too large to thumbnail");
  }

  const size = thumbnailSize(picture, wanted, wanted.method);
  if (size === undefined) {
    const contentType = CONTENT_TYPES.get(about.format);
    const fits =
      sizeBytes <= mostBytesOf(about) && (wanted.animated || !(await moves(path, about)));
    if (contentType !== undefined && fits) return { outcome: "original", contentType };
  }

  const animated = wanted.animated && canMove(about, picture, mostPixels);
  const shown = size ?? fitting(picture);
  const source = sharp(path, { animated, limitInputPixels: mostPixels, failOn: "error" })
    .timeout({ seconds: MOST_SECONDS })
    .autoOrient()
    .resize({ ...shown, fit: "cover" });
  const type = animated ? "webp" : stillType(about, shown);
  const bytes = await encode(source, type).catch(unreadable);
  return { outcome: "made", bytes, contentType: `image/${type}` };
}

/** Screenshots and logos are not blurred while they are small: then that takes little more. */
function stillType({ format, hasAlpha }: Metadata, { width, height }: Size): "png" | "jpeg" {
  return hasAlpha || (format === "png" && width * height <= MOST_SHARP_PIXELS) ? "png" : "jpeg";
}

function isTooLarge(
  { autoOrient: { width, height }, format }: Metadata,
  mostPixels: number,
): boolean {
  const pixels = width * height * (WHOLE_IN_MEMORY.get(format) ?? 1);
  return pixels > mostPixels || Math.max(width, height) > LONGEST_SIDE;
}

/**
 * What a picture takes without any compression, and some more. A file that is larger brings something
 * else, which nobody who asks for a thumbnail wants to be sent.
 */
function mostBytesOf({ autoOrient: { width, height }, pages = 1 }: Metadata): number {
  return 4 * width * height * Math.min(pages, MOST_FRAMES) + OVERHEAD_BYTES;
}

async function moves(path: string, about: Metadata): Promise<boolean> {
  return (about.pages ?? 1) > 1 || (about.format === "png" && (await isAnimatedPng(path)));
}

/** Whether all pictures of an animation together are no more than one picture may be. */
function canMove(about: Metadata, picture: Size, mostPixels: number): boolean {
  const frames = about.pages ?? 1;
  // The decoder knows the frames of these two; of an APNG it sees the first alone.
  const known = about.format === "gif" || about.format === "webp";
  return (
    known &&
    frames > 1 &&
    frames <= MOST_FRAMES &&
    frames * picture.width * picture.height <= mostPixels
  );
}

/** A picture's own size, for what has to be encoded anew, if that is not too much of a thumbnail. */
function fitting(picture: Size): Size {
  const most = { width: 1600, height: 1200 };
  return thumbnailSize(picture, most, "scale") ?? { width: picture.width, height: picture.height };
}

async function encode(source: Sharp, type: "webp" | "png" | "jpeg"): Promise<Uint8Array> {
  switch (type) {
    case "webp":
      return await source.webp({ quality: 75, effort: 2 }).toBuffer();
    case "png":
      return await source.png({ compressionLevel: 6 }).toBuffer();
    case "jpeg":
      return await source.jpeg({ quality: 80 }).toBuffer();
  }
}

/** How large a picture is, as it is meant to be shown; undefined if it is none that we decode. */
export async function sizeOfPicture(
  path: string,
): Promise<{ readonly width: number; readonly height: number } | undefined> {
  const sharp = await loadSharp();
  const about = await sharp(path, { limitInputPixels: false })
    .metadata()
    .catch(() => undefined);
  return about?.autoOrient;
}

function unreadable(cause: unknown): never {
  throw new MatrixError("M_UNKNOWN", "Cannot generate thumbnails for the requested content", {
    status: 400,
    cause,
  });
}

let loaded: Promise<typeof sharpModule> | undefined;

/** The library is large, and a process that makes no thumbnails does without it. */
async function loadSharp(): Promise<typeof sharpModule> {
  loaded ??= import("sharp").then(({ default: sharp }) => {
    // Several pictures at once are better than several threads for one, and none is made twice.
    sharp.concurrency(1);
    sharp.cache(false);
    sharp.block({ operation: ["VipsForeignLoad"] });
    sharp.unblock({ operation: DECODERS.map((it) => `VipsForeignLoad${it}`) });
    return sharp;
  });
  return await loaded;
}
