export type ThumbnailMethod = "crop" | "scale";

/** A size in pixels. */
export type Size = { readonly width: number; readonly height: number };

/** A thumbnail as it is asked for, and kept. */
export type ThumbnailSpec = Size & {
  readonly method: ThumbnailMethod;
  /** Whether it may move. */
  readonly animated: boolean;
};

/** The sizes that are made by scaling: those of the specification, and one for dense displays. */
const SCALED: readonly Size[] = [
  { width: 320, height: 240 },
  { width: 640, height: 480 },
  { width: 800, height: 600 },
  { width: 1600, height: 1200 },
];

/** The longer sides of what is made by cropping: those of the specification, and some for dense displays. */
const CROPPED: readonly number[] = [32, 96, 256, 512, 1024];

/**
 * Stands for a picture in its own size: for those who ask for more than any thumbnail has. The
 * picture itself is more than that, too, or there is none such.
 */
export const OWN_SIZE: Size = { width: 0, height: 0 };

/**
 * The size to make of what is asked for: the next larger of a few, so that a picture has few
 * thumbnails however clients ask. Never a smaller one. Crops keep the proportions that are asked for.
 *
 * @spec client-server-api#thumbnails
 */
export function roundUp({ width, height }: Size, method: ThumbnailMethod): Size {
  if (method === "scale") {
    return SCALED.find((it) => it.width >= width && it.height >= height) ?? OWN_SIZE;
  }
  const longer = Math.max(width, height);
  const rounded = CROPPED.find((it) => it >= longer);
  if (rounded === undefined) return OWN_SIZE;
  const grown = (side: number) => Math.ceil((side * rounded) / longer);
  return { width: grown(width), height: grown(height) };
}

/**
 * The size that a picture gets. It is never made larger: if it would have to be, a crop takes what
 * there is in the wanted proportions.
 *
 * @param wanted from `roundUp`.
 * @returns undefined if the picture has that size already, or is smaller in both directions.
 * @spec client-server-api#thumbnails
 */
export function thumbnailSize(
  picture: Size,
  wanted: Size,
  method: ThumbnailMethod,
): Size | undefined {
  if (wanted.width === 0) return undefined;
  if (picture.width <= wanted.width && picture.height <= wanted.height) return undefined;
  const x = wanted.width / picture.width;
  const y = wanted.height / picture.height;
  if (method === "scale") {
    const factor = Math.min(x, y);
    return { width: pixels(picture.width * factor), height: pixels(picture.height * factor) };
  }
  const tooLarge = Math.max(1, x, y);
  return { width: pixels(wanted.width / tooLarge), height: pixels(wanted.height / tooLarge) };
}

function pixels(length: number): number {
  return Math.max(1, Math.round(length));
}
