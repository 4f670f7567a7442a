import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contentDisposition, essenceOf, filenameIn, readContentType } from "./content-type.ts";

describe("readContentType", () => {
  test.each(["image/png", "text/plain; charset=utf-8", 'text/plain;charset="utf-8"', "a/b+c;x=y"])(
    "keeps %s as it is",
    (type) => expect(readContentType(type)).toBe(type),
  );

  test.each([undefined, "", "png", "image/", "text/plain\u0001", "a/b; c", `a/${"b".repeat(255)}`])(
    "takes %j for unknown bytes",
    (type) => expect(readContentType(type)).toBe("application/octet-stream"),
  );
});

describe("contentDisposition", () => {
  test.each([
    ["image/png", undefined, "inline"],
    ["IMAGE/PNG; x=y", undefined, "inline"],
    ["text/html", undefined, "attachment"],
    ["image/svg+xml", "a.svg", 'attachment; filename="a.svg"'],
    ["text/plain", "War and Peace.txt", 'inline; filename="War and Peace.txt"'],
    ["text/plain", 'a"b', "inline; filename*=utf-8''a%22b"],
    ["text/plain", "☕ (1).txt", "inline; filename*=utf-8''%E2%98%95%20%281%29.txt"],
    ["text/plain", "a\r\nset-cookie: b", "inline; filename*=utf-8''a%0D%0Aset-cookie%3A%20b"],
  ])("of %s called %j is %s", (type, filename, expected) => {
    expect(contentDisposition(type, filename)).toBe(expected);
  });

  test("is a header whatever the file is called, and says the name", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (filename) => {
        const header = contentDisposition("image/png", filename);
        expect(new Headers({ "content-disposition": header }).get("content-disposition")).toBe(
          header,
        );
        const [, plain, escaped] = /filename="(.*)"$|utf-8''(.*)$/.exec(header) ?? [];
        expect(plain ?? decodeURIComponent(escaped ?? "")).toBe(filename.toWellFormed());
      }),
    );
  });
});

describe("filenameIn", () => {
  test("reads what contentDisposition has written", () => {
    const name = fc.string({ unit: "binary", minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(
        name.filter((it) => !it.includes("\0")),
        (filename) => {
          const read = filenameIn(contentDisposition("image/png", filename));
          expect(read).toBe(filename.toWellFormed());
        },
      ),
    );
  });

  test.each([
    ["attachment; filename=plain.txt", "plain.txt"],
    ['inline;filename="a \\"b\\" c"; x=y', 'a "b" c'],
    ["inline; filename=\"old.txt\"; filename*=utf-8''new.txt", "new.txt"],
    ["inline; filename*=utf-8''%E2%28", undefined],
    ["inline; filename*=utf-8''%E2%28; filename=plain", "plain"],
    ['inline; filename=""', undefined],
    ["inline", undefined],
    [undefined, undefined],
  ])("of %j is %j", (header, expected) => expect(filenameIn(header)).toBe(expected));
});

test("essenceOf leaves the parameters out", () => {
  expect(essenceOf("Text/HTML ; charset=x")).toBe("text/html");
});
