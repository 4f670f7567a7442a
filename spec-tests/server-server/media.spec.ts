import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { refusal } from "../client-server/client.ts";
import { authorization, federatingHomeserver, openPeer, V1 } from "./peer.ts";

const hs = await federatingHomeserver();
const peer = await openPeer(hs);
const alice = await hs.registerUser("alice");

async function upload(raw: Uint8Array<ArrayBuffer>, type: string): Promise<string> {
  const headers = { "content-type": type };
  const { body } = await hs.request("POST", "/_matrix/media/v3/upload", {
    token: alice.token,
    raw,
    headers,
  });
  return String(body.content_uri).split("/").at(-1) ?? "";
}

/** The two parts of an answer of media: about it, and itself. */
async function parts(uri: string): Promise<{ about: unknown; type: string; file: Buffer }> {
  const answer = await fetch(hs.url + uri, {
    headers: { authorization: authorization(peer, { method: "GET", uri }) },
  });
  expect(answer.status).toBe(200);
  const contentType = answer.headers.get("content-type") ?? "";
  const [, boundary = ""] = /^multipart\/mixed;.*boundary="?([^";]+)"?/.exec(contentType) ?? [];
  const body = Buffer.from(await answer.arrayBuffer()).toString("latin1");
  const [, first = "", second = ""] = `\r\n${body}`.split(`\r\n--${boundary}`);
  const cut = (part: string) => part.slice(part.indexOf("\r\n\r\n") + 4);
  const type = /content-type: *([^\r]+)/i.exec(second)?.[1] ?? "";
  return { about: JSON.parse(cut(first)), type, file: Buffer.from(cut(second), "latin1") };
}

/** @spec server-server-api#get_matrixfederationv1mediadownloadmediaid */
describe("getContent", () => {
  test("gives a file and what is known of it", async () => {
    const bytes = Buffer.from(Array.from({ length: 5_000 }, (_, index) => index % 253));
    const id = await upload(new Uint8Array(bytes), "text/plain");
    const { about, type, file } = await parts(`${V1}/media/download/${id}`);
    expect(about).toEqual({});
    expect(type).toBe("text/plain");
    expect(file.equals(bytes)).toBe(true);
  });

  test("knows files of this server alone", async () => {
    const ask = async (id: string) => await peer.ask("GET", `${V1}/media/download/${id}`);
    expect(await ask("none")).toMatchObject(refusal(404, "M_NOT_FOUND"));
    expect(await ask("no%2Fsuch")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});

/** @spec server-server-api#get_matrixfederationv1mediathumbnailmediaid */
describe("getContentThumbnail", () => {
  test("gives a picture in small", async () => {
    const background = { r: 10, g: 90, b: 200 };
    const picture = sharp({ create: { width: 400, height: 300, channels: 3, background } });
    const id = await upload(new Uint8Array(await picture.png().toBuffer()), "image/png");
    const query = "width=32&height=32&method=crop";
    const { type, file } = await parts(`${V1}/media/thumbnail/${id}?${query}`);
    expect(type).toMatch(/^image\//);
    const { width, height } = await sharp(file).metadata();
    expect([width, height]).toEqual([32, 32]);
  });

  test("is not made of what is no picture, and not in an absurd size", async () => {
    const id = await upload(new Uint8Array(Buffer.from("text")), "text/plain");
    const ask = async (query: string, of = id) =>
      await peer.ask("GET", `${V1}/media/thumbnail/${of}?${query}`);
    expect((await ask("width=32&height=32")).status).toBeGreaterThanOrEqual(400);
    expect(await ask("width=32&height=32", "none")).toMatchObject(refusal(404, "M_NOT_FOUND"));
    for (const query of [
      "",
      "width=x&height=32",
      "width=-1&height=1",
      "width=1&height=1&method=x",
    ]) {
      expect((await ask(query)).status).toBe(400);
    }
  });
});
