import { describe, expect, test } from "vitest";
import { readPage } from "./read-page.ts";

const read = (html: string | Uint8Array, charset?: string) =>
  Object.fromEntries(readPage(typeof html === "string" ? Buffer.from(html) : html, charset));

describe("a page", () => {
  test("says of itself what OpenGraph has names for, and what stands for it", () => {
    const html = `<html><head><title>The  Rock
      (1996)</title><meta property="og:title" content="The Rock &amp; more">
      <meta name="description" content="A film"><meta property="og:type" content="video.movie">
      <meta name="twitter:image" content="/rock.png"><meta name="viewport" content="x"></head>`;
    expect(read(html)).toEqual({
      "og:title": "The Rock & more",
      "og:description": "A film",
      "og:type": "video.movie",
      "og:image": "/rock.png",
    });
    expect(read("<title>Only\n a title</title><p>x")).toEqual({ "og:title": "Only a title" });
  });

  test("says nothing if it has nothing to say, and however broken it is", () => {
    for (const html of ["", "<", "<meta property=og:title", "plain text", "<title>", "\u0000"]) {
      expect(read(html)).toEqual({});
    }
  });

  test("is read by the encoding that its server, or it, says", () => {
    const latin = Buffer.from("<title>Übersee</title>", "latin1");
    expect(read(latin, "iso-8859-1")).toEqual({ "og:title": "Übersee" });
    const own = Buffer.from('<meta charset="windows-1252"><title>Übersee</title>', "latin1");
    expect(read(own)).toEqual({ "og:title": "Übersee" });
    expect(read("<title>海外</title>")).toEqual({ "og:title": "海外" });
    const big5 = Uint8Array.from([
      ...Buffer.from("<title>"),
      0xae,
      0xfc,
      ...Buffer.from("</title>"),
    ]);
    expect(read(big5, "big5")).toEqual({ "og:title": "海" });
    expect(read("<title>x</title>", "no such encoding")).toEqual({ "og:title": "x" });
    expect(read("<title>x</title>", "iso-2022-cn")).toEqual({});
    expect(read('<meta charset="hz-gb-2312"><title>x</title>')).toEqual({});
  });

  test("has only so much to say", () => {
    const many = Array.from({ length: 500 }, (_, n) => `<meta property="og:p${n}" content="${n}">`);
    expect(Object.keys(read(many.join("")))).toHaveLength(50);
    const long = `<title>${"x".repeat(1_000_000)}</title>`;
    expect(read(long)["og:title"]).toHaveLength(1_000);
    expect(read(`<meta property="og:${"x".repeat(100_000)}" content="x">`)).toEqual({});
    const cut = read(`<title>${"x".repeat(999)}😀</title>`)["og:title"];
    expect([cut?.length, cut?.isWellFormed()]).toEqual([1_000, true]);
  });

  test("says a thing once, however it writes the name", () => {
    const html = '<meta property="og:title" content="One"><meta property="OG:Title" content="Two">';
    expect(read(html)).toEqual({ "og:title": "One" });
  });
});
