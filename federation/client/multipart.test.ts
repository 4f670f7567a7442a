import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { boundaryOf, readMediaPart } from "./multipart.ts";

test.each([
  ['multipart/mixed; boundary="a b"', "a b"],
  ["multipart/mixed;boundary=abc", "abc"],
  ["Multipart/Mixed; charset=x; Boundary=abc; y=z", "abc"],
  ["multipart/form-data; boundary=abc", undefined],
  ["multipart/mixed", undefined],
  ["multipart/mixed; boundary=", undefined],
  [undefined, undefined],
])("finds the boundary of %j", (contentType, boundary) => {
  expect(boundaryOf(contentType)).toBe(boundary);
});

async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length] ?? bytes.length;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

function bodyOf(content: Uint8Array, headers: string): Buffer {
  return Buffer.concat([
    Buffer.from(`--XX\r\nContent-Type: application/json\r\n\r\n{}\r\n--XX\r\n${headers}\r\n`),
    content,
    Buffer.from("\r\n--XX--\r\n"),
  ]);
}

async function read(body: Buffer, sizes: readonly number[] = []) {
  const part = await readMediaPart(cut(body, sizes), "XX");
  const chunks: Buffer[] = [];
  for await (const chunk of part.content) chunks.push(Buffer.from(chunk));
  return { headers: part.headers, content: Buffer.concat(chunks) };
}

test("gives the second part's bytes, wherever the whole is cut", async () => {
  // What looks like the beginning of the boundary, and is not.
  const bytes = fc
    .array(
      fc.oneof(fc.uint8Array({ maxLength: 30 }), fc.constantFrom("\r\n--X", "\r\n-", "--XX", "\r")),
      {
        maxLength: 20,
      },
    )
    .map((parts) => Buffer.concat(parts.map((it) => Buffer.from(it as string))))
    .filter((it) => !it.includes("\r\n--XX"));
  await fc.assert(
    fc.asyncProperty(
      bytes,
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      async (it, sizes) => {
        const found = await read(bodyOf(it, "Content-Type: image/png\r\n"), sizes);
        expect(found.content.equals(it)).toBe(true);
        expect(found.headers.get("content-type")).toBe("image/png");
      },
    ),
  );
});

describe("reads", () => {
  test("parts without headers", async () => {
    const body = Buffer.from("--XX\r\n\r\n{}\r\n--XX\r\n\r\nthere\r\n--XX--");
    const found = await read(body);
    expect(found.content.toString()).toBe("there");
    expect(found.headers.size).toBe(0);
  });

  test("headers by their names, and what comes before the first part", async () => {
    const body = bodyOf(
      Buffer.of(),
      "CONTENT-disposition:  inline; filename=a.png \r\nLocation: x\r\n",
    );
    const found = await read(Buffer.concat([Buffer.from("preamble\r\n"), body]));
    expect([...found.headers]).toEqual([
      ["content-disposition", "inline; filename=a.png"],
      ["location", "x"],
    ]);
  });
});

describe("fails", () => {
  test("when the media has not come whole", async () => {
    const body = bodyOf(Buffer.from("half"), "").subarray(0, -12);
    await expect(read(body)).rejects.toThrow(/not come whole/);
  });

  test("when it is no such body, and does not read on for ever", async () => {
    let chunks = 0;
    async function* endless() {
      for (;;) {
        chunks++;
        yield Buffer.alloc(16_384, "x");
      }
    }
    await expect(readMediaPart(endless(), "XX")).rejects.toThrow(/before the media/);
    expect(chunks).toBeLessThan(10);
  });
});

test("lets the body go when nobody reads on", async () => {
  let ended = false;
  async function* source() {
    try {
      yield bodyOf(Buffer.alloc(1_000), "").subarray(0, 200);
      yield Buffer.alloc(1_000);
    } finally {
      ended = true;
    }
  }
  const { content } = await readMediaPart(source(), "XX");
  await content.next();
  await content.return(undefined);
  expect(ended).toBe(true);
});
