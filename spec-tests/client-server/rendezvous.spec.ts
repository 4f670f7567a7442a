import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const ALL = "/unstable/org.matrix.msc4108/rendezvous";
const PLAIN = { "content-type": "text/plain" };

async function opened(said = "hello") {
  const answer = await hs.request("POST", ALL, { raw: said, headers: PLAIN });
  const path = new URL(String(answer.body["url"])).pathname;
  return { answer, path, etag: answer.headers.get("etag") ?? "" };
}
const write = async (path: string, etag: string, said: string) =>
  await hs.request("PUT", path, { raw: said, headers: { ...PLAIN, "if-match": etag } });

/** MSC4108. */
describe("openRendezvous", () => {
  test("makes a place that two clients can know of", async () => {
    const { answer } = await opened();
    expect(answer.status).toBe(201);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(new Date(answer.headers.get("expires") ?? "").getTime()).toBeGreaterThan(Date.now());
    expect(answer.headers.get("access-control-expose-headers")).toMatch(/\bETag\b/);
  });

  test("takes a text, and no more than it must", async () => {
    const json = { "content-type": "application/json" };
    expect((await hs.request("POST", ALL, { raw: "{}", headers: json })).status).toBe(400);
    const large = { raw: "x".repeat(4_097), headers: PLAIN };
    expect(await hs.request("POST", ALL, large)).toMatchObject(refusal(413, "M_TOO_LARGE"));
  });
});

describe("readRendezvous", () => {
  test("gives what was left last, unless it is known", async () => {
    const { path, etag } = await opened("ahoy");
    const read = await hs.request("GET", path);
    expect(read).toMatchObject({ status: 200, text: "ahoy" });
    expect(read.headers.get("etag")).toBe(etag);
    expect(read.headers.get("x-content-type-options")).toBe("nosniff");
    const again = await hs.request("GET", path, { headers: { "if-none-match": etag } });
    expect(again.status).toBe(304);
    expect(await hs.request("GET", `${ALL}/nowhere`)).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});

describe("writeRendezvous", () => {
  test("takes what answers what was left last, and nothing else", async () => {
    const { path, etag } = await opened();
    const first = await write(path, etag, "one");
    expect(first.status).toBe(202);
    const late = await write(path, etag, "two");
    expect(late.status).toBe(412);
    expect(late.body["org.matrix.msc4108.errcode"]).toBe("M_CONCURRENT_WRITE");
    expect((await write(path, first.headers.get("etag") ?? "", "three")).status).toBe(202);
    expect((await hs.request("GET", path)).text).toBe("three");
    const blind = await hs.request("PUT", path, { raw: "x", headers: PLAIN });
    expect(blind).toMatchObject(refusal(400, "M_MISSING_PARAM"));
    expect((await write(`${ALL}/nowhere`, etag, "x")).status).toBe(404);
  });
});

describe("closeRendezvous", () => {
  test("takes the place away, once", async () => {
    const { path } = await opened();
    expect((await hs.request("DELETE", path)).status).toBe(204);
    expect((await hs.request("GET", path)).status).toBe(404);
    expect((await hs.request("DELETE", path)).status).toBe(404);
  });
});
