import { buffer } from "node:stream/consumers";
import { afterAll, describe, expect, test } from "vitest";
import { testFederation } from "../testing.ts";
import { pretendedServer } from "./testing.ts";

const federation = await testFederation();
const hs1 = await federation.open();
const liar = await pretendedServer(federation, "liar.test");
afterAll(async () => await federation.close());

const E = encodeURIComponent;

describe("media", () => {
  const multipart = { "content-type": "multipart/mixed; boundary=XX" };
  const bodyOf = (headers: string, content: string) =>
    `--XX\r\nContent-Type: application/json\r\n\r\n{}\r\n--XX\r\n${headers}\r\n\r\n${content}\r\n--XX--`;

  test("comes as it is", async () => {
    const picture = "p".repeat(300_000);
    liar.says = (response) =>
      response
        .writeHead(200, multipart)
        .end(bodyOf("Content-Type: image/png\r\nContent-Disposition: inline", picture));
    const answer = await hs1.hs.remotes.getContent(liar.name, { mediaId: "m", timeoutMs: 10 });
    if (!answer.ok) throw new Error(answer.why);
    expect(liar.asked.request).toBe(`GET /_matrix/federation/v1/media/download/m?timeout_ms=10`);
    expect(answer.body).toMatchObject({ contentType: "image/png", contentDisposition: "inline" });
    expect((await buffer(answer.body.body)).toString()).toBe(picture);
  });

  test("comes as a thumbnail of the size that is asked for", async () => {
    liar.says = (response) => response.writeHead(200, multipart).end(bodyOf("", "x"));
    const size = { width: 3, height: 4, method: "crop", animated: true } as const;
    const answer = await hs1.hs.remotes.getContentThumbnail(liar.name, { mediaId: "m", ...size });
    expect(answer.ok).toBe(true);
    expect(liar.asked.request).toBe(
      `GET /_matrix/federation/v1/media/thumbnail/m?width=3&height=4&method=crop&animated=true&timeout_ms=20000`,
    );
  });

  test("comes from where the server says that it is, unsigned", async () => {
    liar.says = (response, request) => {
      const isPlace = request.url === "/cdn";
      response
        .writeHead(200, isPlace ? { "content-type": "image/gif" } : multipart)
        .end(isPlace ? "there" : bodyOf(`Location: https://${liar.name}/cdn`, ""));
    };
    const answer = await hs1.hs.remotes.getContent(liar.name, { mediaId: "m" });
    if (!answer.ok) throw new Error(answer.why);
    expect(liar.asked).toMatchObject({ request: "GET /cdn", authorization: undefined });
    expect(answer.body.contentType).toBe("image/gif");
    expect((await buffer(answer.body.body)).toString()).toBe("there");
  });

  test.each(["https://10.0.0.1/x", "http://liar.test/x", "file:///etc/passwd", "nonsense"])(
    "does not come from %s",
    async (location) => {
      liar.says = (response) =>
        response.writeHead(200, multipart).end(bodyOf(`Location: ${location}`, ""));
      const answer = await hs1.hs.remotes.getContent(liar.name, { mediaId: "m" });
      expect(answer).toMatchObject({ ok: false, why: "unreachable" });
    },
  );

  test.each([
    [404, JSON.stringify({ errcode: "M_UNRECOGNIZED" })],
    [405, JSON.stringify({ errcode: "M_UNRECOGNIZED" })],
    [404, "404 page not found"],
    [400, "nothing of that kind here"],
  ])("comes by the old route, unsigned, from a server that answers %i %s", async (status, page) => {
    liar.says = (response, request) => {
      if (!request.url?.startsWith("/_matrix/media/v3/")) {
        response.writeHead(status).end(page);
        return;
      }
      response.writeHead(200, { "content-type": "image/gif" }).end("old");
    };
    const answer = await hs1.hs.remotes.getContent(liar.name, { mediaId: "m", timeoutMs: 5 });
    if (!answer.ok) throw new Error(answer.why);
    expect(answer.body.contentType).toBe("image/gif");
    expect((await buffer(answer.body.body)).toString()).toBe("old");
    expect(liar.asked).toMatchObject({
      request: `GET /_matrix/media/v3/download/${E(liar.name)}/m?allow_remote=false&timeout_ms=5`,
      authorization: undefined,
    });
    const size = { width: 3, height: 4, method: "scale" } as const;
    expect(
      (await hs1.hs.remotes.getContentThumbnail(liar.name, { mediaId: "m", ...size })).ok,
    ).toBe(true);
  });

  test("ends with an error if it is cut off", async () => {
    liar.says = (response) => {
      response.writeHead(200, { ...multipart, "content-length": "1000" });
      response.write(bodyOf("", "half").slice(0, -8), () => response.destroy());
    };
    const answer = await hs1.hs.remotes.getContent(liar.name, { mediaId: "m" });
    if (!answer.ok) throw new Error(answer.why);
    await expect(buffer(answer.body.body)).rejects.toThrow(/closed/);
  });

  test("is read no further if it does not begin", async () => {
    const closed = Promise.withResolvers<void>();
    liar.says = (response) => {
      response.once("close", closed.resolve);
      response.writeHead(200, multipart).write("x".repeat(100_000));
    };
    const answer = await hs1.hs.remotes.getContent(liar.name, { mediaId: "m", timeoutMs: 10 });
    expect(answer).toMatchObject({ ok: false, why: "unreachable" });
    await closed.promise;
  });

  test("is refused as other questions are, and malformed if it is in no parts", async () => {
    liar.saying({ errcode: "M_NOT_YET_UPLOADED" }, 504);
    expect(await hs1.hs.remotes.getContent(liar.name, { mediaId: "m" })).toMatchObject({
      why: "refused",
      status: 504,
      errcode: "M_NOT_YET_UPLOADED",
    });
    liar.saying({});
    const answer = await hs1.hs.remotes.getContent(liar.name, { mediaId: "m" });
    expect(answer).toMatchObject({ ok: false, why: "malformed" });
  });
});
