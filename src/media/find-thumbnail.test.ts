import { writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { mediaServers } from "./testing.ts";

const servers = await mediaServers(2, { maxThumbnailPixels: 2_000_000 });
afterAll(async () => await servers.close());

const THUMBNAIL = "/_matrix/client/v1/media/thumbnail";

/** The decoders that the server leaves open read files alone, in a whole process. */
function fileOf(bytes: Buffer): string {
  const path = join(servers.directory, `look-${count++}`);
  writeFileSync(path, bytes);
  return path;
}
let count = 0;

function picture(width: number, height: number, channels: 3 | 4 = 3) {
  const background = { r: 200, g: 30, b: 90, alpha: 0.5 };
  return sharp({ create: { width, height, channels, background } });
}

async function animation(width: number, height: number, frames: number): Promise<Buffer> {
  // Every frame is a shade darker, or an encoder might take them for one.
  const shades = Array.from({ length: frames }, (_, index) =>
    Buffer.alloc(width * height * 3, 255 - 20 * index),
  );
  const raw = { width, height: height * frames, channels: 3, pageHeight: height } as const;
  return await sharp(Buffer.concat(shades), { raw }).gif().toBuffer();
}

async function upload(bytes: Buffer, type: string): Promise<string> {
  const response = await servers.fetch("/_matrix/media/v3/upload", {
    method: "POST",
    body: new Uint8Array(bytes),
    headers: { "content-type": type },
  });
  const { content_uri: uri } = z.object({ content_uri: z.string() }).parse(await response.json());
  return uri.replace("mxc://", "");
}

async function thumbnail(parts: string, query: string, server = 0) {
  const response = await servers.fetch(`${THUMBNAIL}/${parts}?${query}`, { server });
  const bytes = Buffer.from(await response.arrayBuffer());
  const about = response.status === 200 ? await sharp(fileOf(bytes)).metadata() : undefined;
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    disposition: response.headers.get("content-disposition"),
    size: about && `${about.width}x${about.pageHeight ?? about.height}`,
    pages: about?.pages ?? 1,
    bytes,
    error: about ? undefined : z.looseObject({}).parse(JSON.parse(bytes.toString())),
  };
}

async function countStored(parts: string): Promise<number> {
  const [row] = await servers.sql<{ count: number }[]>`
    select count(*) from media_thumbnails join media using (media_key)
    where media_id = ${parts.split("/")[1] ?? ""}`;
  return row?.count ?? 0;
}

describe("a thumbnail", () => {
  test("has the sizes of the specification, and is made once", async () => {
    const parts = await upload(await picture(1600, 1000).jpeg().toBuffer(), "image/jpeg");
    const sizes = [
      ["width=32&height=32&method=crop", "32x32"],
      ["width=96&height=96&method=crop", "96x96"],
      ["width=320&height=240&method=scale", "320x200"],
      ["width=640&height=480&method=scale", "640x400"],
      ["width=800&height=600", "800x500"],
      ["width=800&height=600&animated=false", "800x500"],
      ["width=40&height=40&method=crop", "96x96"],
    ] as const;
    for (const [query, size] of sizes) {
      expect(await thumbnail(parts, query)).toMatchObject({
        status: 200,
        size,
        type: "image/jpeg",
        disposition: 'inline; filename="thumbnail.jpeg"',
      });
    }
    expect(await countStored(parts)).toBe(5);
  });

  test("that many ask for at once, in two processes, is stored once and the same for all", async () => {
    const parts = await upload(await picture(900, 900).png().toBuffer(), "image/png");
    const query = "width=320&height=240";
    const all = await Promise.all([0, 1, 0, 1].map((it) => thumbnail(parts, query, it)));
    expect(new Set(all.map((it) => it.size))).toEqual(new Set(["240x240"]));
    expect(await countStored(parts)).toBe(1);
  });

  test("keeps what can be seen through", async () => {
    const parts = await upload(await picture(900, 900, 4).png().toBuffer(), "image/png");
    expect(await thumbnail(parts, "width=32&height=32&method=crop")).toMatchObject({
      type: "image/png",
      size: "32x32",
    });
  });

  test("of a screenshot is not blurred while it is small", async () => {
    const parts = await upload(await picture(900, 900).png().toBuffer(), "image/png");
    const types = await Promise.all(
      ["width=320&height=240", "width=640&height=480"].map((it) => thumbnail(parts, it)),
    );
    expect(types.map((it) => it.type)).toEqual(["image/png", "image/jpeg"]);
  });

  test("stands as its picture was held", async () => {
    const turned = picture(1000, 500).withMetadata({ orientation: 6 });
    const parts = await upload(await turned.jpeg().toBuffer(), "image/jpeg");
    expect(await thumbnail(parts, "width=640&height=480")).toMatchObject({ size: "240x480" });
  });

  test("of a small picture, or in a larger size than any, is the picture itself", async () => {
    const small = await picture(50, 40).png().toBuffer();
    const parts = await upload(small, "image/png");
    for (const query of ["width=96&height=96&method=crop", "width=9000&height=9000"]) {
      const got = await thumbnail(parts, query);
      expect(got).toMatchObject({ status: 200, type: "image/png", size: "50x40" });
      expect(got.bytes.equals(small)).toBe(true);
    }
  });

  test("of a small picture in a large file has only the picture of it", async () => {
    const small = await picture(50, 40).png().toBuffer();
    const parts = await upload(Buffer.concat([small, Buffer.alloc(200_000)]), "image/png");
    const got = await thumbnail(parts, "width=96&height=96&method=crop");
    expect(got).toMatchObject({ status: 200, size: "50x40" });
    expect(got.bytes.length).toBeLessThan(10_000);
  });

  test("of a type that not every client knows is one that all do", async () => {
    const parts = await upload(await picture(60, 50).avif().toBuffer(), "image/avif");
    expect(await thumbnail(parts, "width=96&height=96&method=crop")).toMatchObject({
      type: "image/jpeg",
      size: "60x50",
    });
  });

  test("moves only if it is asked to", async () => {
    for (const [side, expected] of [
      [400, "96x96"],
      [60, "60x60"],
    ] as const) {
      const parts = await upload(await animation(side, side, 4), "image/gif");
      const query = "width=96&height=96&method=crop";
      expect(await thumbnail(parts, `${query}&animated=true`)).toMatchObject({
        pages: 4,
        size: expected,
      });
      const still = await thumbnail(parts, query);
      expect(still).toMatchObject({ status: 200, pages: 1, size: expected });
    }
  });

  test("of an animation with too many pixels does not move", async () => {
    const parts = await upload(await animation(500, 500, 10), "image/gif");
    const query = "width=96&height=96&method=crop&animated=true";
    expect(await thumbnail(parts, query)).toMatchObject({ pages: 1, size: "96x96" });
  });
});

describe("no thumbnail", () => {
  const refused = async (parts: string, query = "width=32&height=32") => {
    const { status, error } = await thumbnail(parts, query);
    return { status, errcode: error?.["errcode"] };
  };

  test("is made of a picture with too many pixels, however few bytes it has", async () => {
    const bomb = await picture(2000, 1200).png({ compressionLevel: 9 }).toBuffer();
    const parts = await upload(bomb, "image/png");
    expect(await refused(parts)).toEqual({ status: 413, errcode: "M_TOO_LARGE" });
  });

  test("is made of a picture that is hard on its decoder", async () => {
    for (const bytes of [
      await picture(1, 66_000).png().toBuffer(),
      await picture(900, 600).avif({ effort: 0 }).toBuffer(),
    ]) {
      const parts = await upload(bytes, "image/png");
      expect(await refused(parts)).toEqual({ status: 413, errcode: "M_TOO_LARGE" });
    }
  });

  test("is made of what is no picture, whatever it says it is", async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
    const png = await picture(500, 500).png().toBuffer();
    for (const [bytes, type] of [
      [svg, "image/svg+xml"],
      [svg, "image/png"],
      [Buffer.from("hello"), "text/plain"],
      [Buffer.alloc(0), "image/png"],
      [png.subarray(0, 60), "image/png"],
      [png, "application/octet-stream"],
    ] as const) {
      const parts = await upload(bytes, type);
      expect(await refused(parts)).toEqual({ status: 400, errcode: "M_UNKNOWN" });
    }
  });

  test.each([
    ["height=32", "M_MISSING_PARAM"],
    ["width=32", "M_MISSING_PARAM"],
    ["width=0&height=32", "M_INVALID_PARAM"],
    ["width=-1&height=32", "M_INVALID_PARAM"],
    ["width=1.5&height=32", "M_INVALID_PARAM"],
    ["width=1e3&height=32", "M_INVALID_PARAM"],
    ["width=32&height=32&method=stretch", "M_INVALID_PARAM"],
    ["width=32&height=32&animated=perhaps", "M_INVALID_PARAM"],
  ])("is made for %s: %s", async (query, errcode) => {
    expect(await refused("test/whatever", query)).toEqual({ status: 400, errcode });
  });

  test("is kept beyond as many as one media may have, though all are made", async () => {
    const parts = await upload(await picture(1100, 1100).jpeg().toBuffer(), "image/jpeg");
    for (let height = 1; height <= 34; height++) {
      const got = await thumbnail(parts, `width=96&height=${height}&method=crop`);
      expect(got.size).toBe(`96x${height}`);
    }
    expect(await countStored(parts)).toBe(32);
  });
});
