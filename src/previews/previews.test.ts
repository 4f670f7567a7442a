import { once } from "node:events";
import { createServer, type Server } from "node:http";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";

let homes: TestHomeservers;
let ask: Ask;
let token: string;
let web: Server;
let base: string;
const asked: string[] = [];

const PAGE = `<html><head><meta property="og:title" content="Harbour"><meta property="og:image"
  content="pictures/boat.png"><meta property="og:image:width" content="9999"></head></html>`;

beforeAll(async () => {
  const picture = await sharp({
    create: { width: 40, height: 30, channels: 3, background: "blue" },
  })
    .png()
    .toBuffer();
  web = createServer((request, response) => {
    const path = request.url ?? "";
    asked.push(path);
    const html = { "content-type": "text/html; charset=utf-8" };
    if (path.startsWith("/moved")) response.writeHead(302, { location: "/deep/page" }).end();
    else if (path.startsWith("/deep/page")) response.writeHead(200, html).end(PAGE);
    else if (path.endsWith(".png")) {
      response.writeHead(200, { "content-type": "image/png" }).end(picture);
    } else if (path === "/false-picture") {
      response.writeHead(200, html).end('<meta property="og:image" content="/deep/page">');
    } else if (path === "/endless") {
      response.writeHead(200, html);
      const more = () => response.write("x".repeat(65_536)) && setImmediate(more);
      response.on("drain", more);
      more();
    } else if (path === "/denied") {
      const port = String(request.headers.host).replace(/.*:/, "");
      response.writeHead(302, { location: `http://localhost:${port}/deep/page?denied` }).end();
    } else if (path === "/denied-picture") {
      const port = String(request.headers.host).replace(/.*:/, "");
      const picture = `http://localhost:${port}/boat.png?denied`;
      response.writeHead(200, html).end(`<meta property="og:image" content="${picture}">`);
    } else if (path === "/inside") {
      response.writeHead(302, { location: "http://10.1.2.3/" }).end();
    } else if (path === "/text") {
      response.writeHead(200, { "content-type": "text/plain" }).end("text");
    } else response.writeHead(404).end();
  });
  web.listen(0, "127.0.0.1");
  await once(web, "listening");
  const address = web.address();
  base = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  homes = await testHomeservers(1, {
    ...LENIENT,
    ARCHIPEL_FEDERATION_ALLOWED_ADDRESS_RANGES: "127.0.0.0/8",
    ARCHIPEL_PREVIEWS_DENIED_HOSTS: "*.denied.test, LocalHost",
  });
  ask = asking(homes.hs);
  token = (await registered(ask, "alice")).access_token as string;
});
afterAll(async () => {
  await homes.close();
  web.closeAllConnections();
  web.close();
});

const preview = async (url: string, as: string | undefined = token) =>
  await ask("GET", `/_matrix/client/v1/media/preview_url?url=${encodeURIComponent(url)}`, {
    ...(as !== undefined && { token: as }),
  });

describe("a preview", () => {
  test("tells what a page says, with a copy of its picture", async () => {
    const { status, body } = await preview(`${base}/moved?1`);
    expect(status).toBe(200);
    expect(body).toEqual({
      "og:title": "Harbour",
      "og:image": expect.stringMatching(/^mxc:\/\/test\//),
      "og:image:type": "image/png",
      "og:image:width": 40,
      "og:image:height": 30,
      "matrix:image:size": expect.any(Number),
    });
    expect(asked).toContain("/deep/pictures/boat.png");
    const mxc = String(body["og:image"]).replace("mxc://", "");
    const path = `/_matrix/client/v1/media/download/${mxc}`;
    expect((await ask("GET", path, { token })).status).toBe(200);
  });

  test("is fetched once, however many ask", async () => {
    const url = `${base}/deep/page?once`;
    const all = await Promise.all([preview(url), preview(url), preview(url)]);
    expect(new Set(all.map((it) => JSON.stringify(it.body))).size).toBe(1);
    await preview(url);
    expect(asked.filter((it) => it === "/deep/page?once")).toHaveLength(1);
  });

  test("of a picture is the picture, and of what has nothing to say is empty", async () => {
    expect((await preview(`${base}/boat.png`)).body).toMatchObject({ "og:image:width": 40 });
    expect((await preview(`${base}/text`)).body).toEqual({});
    expect((await preview(`${base}/false-picture`)).body).toEqual({});
  });

  test("leads to no address inside, by whatever way", async () => {
    for (const url of ["http://10.1.2.3/", "http://[::1]/", "http://169.254.169.254/latest"]) {
      expect(await preview(url)).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
    }
    expect((await preview(`${base}/inside`)).status).toBe(403);
  });

  test("shows nothing of a host that is denied, by whatever way", async () => {
    expect((await preview("https://x.denied.test./")).status).toBe(403);
    expect((await preview("https://x.denied.test/")).status).toBe(403);
    expect((await preview(`${base.replace("127.0.0.1", "localhost")}/boat.png`)).status).toBe(403);
    expect((await preview(`${base}/denied`)).status).toBe(502);
    expect((await preview(`${base}/denied-picture`)).body).toEqual({});
    expect(asked.filter((it) => it.endsWith("?denied"))).toEqual([]);
  });

  test("of what does not come, or does not end, is refused", async () => {
    for (const path of ["/missing", "/endless"]) {
      expect(await preview(base + path)).toMatchObject({
        status: 502,
        body: { errcode: "M_UNKNOWN" },
      });
    }
  });

  test.each(["ftp://a.test/", "nothing", "javascript:1", "http://u:p@a.test/", "http://"])(
    "is refused of %s",
    async (url) => {
      expect(await preview(url)).toMatchObject({
        status: 400,
        body: { errcode: "M_INVALID_PARAM" },
      });
    },
  );
});
