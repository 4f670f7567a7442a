import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBase64 } from "#src/kit/base64.ts";
import { canonicalJson } from "#src/kit/canonical-json.ts";
import { verifyEd25519 } from "#src/kit/ed25519.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { parseVerifyKey, signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { parseXMatrix, xMatrixHeader } from "./x-matrix.ts";

const key = signingKeyFromSeed("ed25519:a_1", randomBytes(32));
const origin = "hs1.test" as ServerName;
const destination = "hs2.test:8448" as ServerName;

test("signs the method, the whole target, both names and the content", async () => {
  const json = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean()));
  const publicKey = parseVerifyKey(
    key.keyId,
    Buffer.from(key.publicKey).toString("base64"),
  )?.publicKey;
  if (!publicKey) throw new Error("no key");
  await fc.assert(
    fc.asyncProperty(fc.webPath(), fc.option(json, { nil: undefined }), async (uri, content) => {
      const request = { method: "PUT", uri, origin, destination };
      const header = xMatrixHeader(
        { ...request, ...(content && { content: canonicalJson(content) }) },
        key,
      );
      const { sig = "", ...rest } = parseXMatrix(header) ?? {};
      expect(rest).toEqual({ origin, destination, key: key.keyId });
      const signed = Buffer.from(canonicalJson({ ...request, ...(content && { content }) }));
      expect(await verifyEd25519(signed, decodeBase64(sig) ?? Buffer.of(), publicKey)).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test("is written as old servers need it", () => {
  expect(xMatrixHeader({ method: "GET", uri: "/", origin, destination }, key)).toMatch(
    /^X-Matrix origin="hs1\.test",destination="hs2\.test:8448",key="ed25519:a_1",sig="[A-Za-z0-9+/]{86}"$/,
  );
});

const expected = { origin: "a.test:1", destination: "b.test", key: "ed25519:k", sig: "s+/g" };

describe("is read", () => {
  test.each([
    'X-Matrix origin="a.test:1",destination="b.test",key="ed25519:k",sig="s+/g"',
    'X-Matrix origin=a.test:1,destination=b.test,key=ed25519:k,sig="s+/g"',
    "X-Matrix origin=a.test:1,destination=b.test,key=ed25519:k,sig=s+/g",
    'x-matrix   sig="s+/g", KEY="ed25519:k" ,\tOrigin = "a.test:1" , destination=b.test',
    'X-Matrix ,, origin="a.test:1",, destination="b.test",key="ed25519:k",sig="s+/g",',
    'X-Matrix origin="a\\.test:1",destination="b.test",key="ed25519:\\k",sig="s+/g"',
    'X-Matrix origin="a.test:1",destination="b.test",key="ed25519:k",sig="s+/g",future="x=\\"y\\",z"',
  ])("from %s", (header) => {
    expect(parseXMatrix(header)).toEqual(expected);
  });

  test("without a destination, which old servers do not send", () => {
    const { destination: _, ...rest } = expected;
    expect(parseXMatrix('X-Matrix origin=a.test:1,key=ed25519:k,sig="s+/g"')).toEqual(rest);
  });

  test("whatever is in its values", () => {
    const value = fc.string({ minLength: 1, maxLength: 40 });
    const quoted = (text: string) => `"${text.replace(/["\\]/g, String.raw`\$&`)}"`;
    fc.assert(
      fc.property(value, value, value, value, (a, b, c, d) => {
        const header = `X-Matrix origin=${quoted(a)},destination=${quoted(b)},key=${quoted(c)},sig=${quoted(d)}`;
        expect(parseXMatrix(header)).toEqual({ origin: a, destination: b, key: c, sig: d });
      }),
    );
  });
});

describe("is refused", () => {
  test.each([
    "",
    "Bearer abc",
    "X-Matrix",
    "X-Matrixorigin=a,key=b,sig=c",
    "X-Matrix origin=a,key=b",
    "X-Matrix origin=a,sig=b",
    "X-Matrix key=a,sig=b",
    'X-Matrix origin="",key=b,sig=c',
    "X-Matrix origin=a,origin=b,key=b,sig=c",
    "X-Matrix origin=a;key=b,sig=c",
    'X-Matrix origin="a"b,key=b,sig=c',
    'X-Matrix origin="a,key=b,sig=c',
    "X-Matrix origin a,key=b,sig=c",
  ])("%j", (header) => {
    expect(parseXMatrix(header)).toBeUndefined();
  });

  test("quickly, however long it is", () => {
    const begun = performance.now();
    for (const unit of [" ", ",", "a", '"', "\\", "a=", 'a="', " ,"]) {
      expect(parseXMatrix(`X-Matrix ${unit.repeat(4_000)}`)).toBeUndefined();
      expect(parseXMatrix(`X-Matrix origin="${unit.repeat(2_000)}`)).toBeUndefined();
    }
    expect(performance.now() - begun).toBeLessThan(2_000);
  });
});
