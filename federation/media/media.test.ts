import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { appOf } from "#src/app.ts";
import { mxcUri, parseMxc } from "#src/media/mxc.ts";
import { liftQuarantine, quarantineMedia } from "#src/media/quarantine-media.ts";
import { forgetRemoteMedia } from "#src/media/remote/job-forget-copies.ts";
import { uploadMedia } from "#src/media/upload-media.ts";
import { asking, registered } from "#src/testing-http.ts";
import { testUser } from "#src/testing.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";

const federation = await testFederation();
const directory = mkdtempSync(join(tmpdir(), "archipel-media-"));
let hs1: FederatedHomeserver;
let hs2: FederatedHomeserver;
let liar: string;
let token: string;
/** How often the other server was asked, and what it says. */
let requests = 0;
let says: (response: ServerResponse) => void;

beforeAll(async () => {
  const variables = (name: string) => ({ ARCHIPEL_MEDIA_DIRECTORY: join(directory, name) });
  hs1 = await federation.open({
    variables: { ...variables("1"), ARCHIPEL_MEDIA_MAX_UPLOAD_BYTES: "2000000" },
  });
  hs2 = await federation.open({ host: "hs2.test", variables: variables("2") });
  liar = await federation.pretend("liar.test", (_request, response) => {
    requests++;
    says(response);
  });
  token = (await registered(asking(hs1.hs), "alice")).access_token;
});
afterAll(async () => {
  await federation.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Has a user of the second server upload a file. @returns where clients of the first find it. */
async function uploaded(
  bytes: Buffer,
  { contentType = "text/plain", filename }: { contentType?: string; filename?: string } = {},
): Promise<string> {
  const body = { source: Readable.from([bytes]), declaredBytes: undefined };
  const mxc = await uploadMedia(hs2.hs, await testUser(hs2.hs, "bob"), {
    body,
    contentType,
    filename,
  });
  return mxcUri(mxc).replace("mxc://", "");
}

/** What a client of the first server gets. */
async function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return await appOf(hs1.hs).request(`/_matrix/client/v1/media/${path}`, {
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
}

const bytesOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

/** By way of a file: the server has forbidden this process to decode anything else. */
async function sizeOf(picture: Buffer): Promise<[number, number]> {
  const path = join(directory, "picture");
  writeFileSync(path, picture);
  const { width, height } = await sharp(path).metadata();
  return [width, height];
}

async function copies(): Promise<number> {
  const rows = await hs1.hs.sql`select from media where used_ms is not null`;
  return rows.count;
}

/** Has the first server fetch a file. @returns its bytes once it is kept: all of it is told a moment before that. */
async function fetched(file: string): Promise<Buffer> {
  const bytes = await bytesOf(await get(`download/${file}`));
  const [, mediaId = ""] = file.split("/");
  const kept = async () =>
    await hs1.hs.sql`select from media where media_id = ${mediaId} and used_ms is not null`;
  await expect.poll(kept, { timeout: 20_000 }).toHaveLength(1);
  return bytes;
}

describe("a file of another server", () => {
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));

  test("comes as it is, and is kept", async () => {
    const file = await uploaded(bytes, { filename: 'süß; "and" sour.txt' });
    const kept = await copies();
    const first = await get(`download/${file}`);
    expect(first.status).toBe(200);
    expect((await bytesOf(first)).equals(bytes)).toBe(true);
    expect(first.headers.get("content-type")).toBe("text/plain");
    expect(first.headers.get("content-disposition")).toBe(
      `inline; filename*=utf-8''s%C3%BC%C3%9F%3B%20%22and%22%20sour.txt`,
    );
    // All of it is told a moment before it is kept.
    await expect.poll(copies, { timeout: 20_000 }).toBe(kept + 1);
    await hs2.hs.sql`delete from media`;
    const second = await get(`download/${file}`);
    expect((await bytesOf(second)).equals(bytes)).toBe(true);
    expect(second.headers.get("content-length")).toBe(String(bytes.length));
    expect(second.headers.get("content-disposition")).toBe(
      first.headers.get("content-disposition"),
    );
    const part = await get(`download/${file}`, { range: "bytes=5-9" });
    expect(part.status).toBe(206);
    expect((await bytesOf(part)).equals(bytes.subarray(5, 10))).toBe(true);
  });

  test("is not fetched for who does not want that", async () => {
    const file = await uploaded(bytes);
    const kept = await copies();
    const refused = await get(`download/${file}?allow_remote=false`);
    expect(refused.status).toBe(404);
    expect(await copies()).toBe(kept);
    expect((await get(`download/${file}?allow_remote=perhaps`)).status).toBe(400);
  });

  test("that is quarantined is not served, nor fetched again, nor given by its own server", async () => {
    const admin = await testUser(hs1.hs, "admin");
    const [here, gone, there] = [
      await uploaded(bytes),
      await uploaded(bytes),
      await uploaded(bytes),
    ];
    const mxcOf = (file: string) => parseMxc(...(file.split("/") as [string, string]));
    expect((await fetched(here)).equals(bytes)).toBe(true);
    for (const file of [here, gone]) await quarantineMedia(hs1.hs, admin, mxcOf(file));
    await quarantineMedia(hs2.hs, await testUser(hs2.hs, "admin"), mxcOf(there));
    const kept = await copies();
    for (const file of [here, gone, there]) {
      const answer = await get(`download/${file}`);
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ errcode: "M_NOT_FOUND" });
      const small = await get(`thumbnail/${file}?width=32&height=32&method=crop`);
      expect(small.status).toBe(404);
    }
    expect(await copies()).toBe(kept);
    // However often copies are forgotten meanwhile.
    await hs1.hs.sql`delete from media where used_ms is not null`;
    expect((await get(`download/${here}`)).status).toBe(404);
    await liftQuarantine(hs1.hs, admin, mxcOf(gone));
    expect((await fetched(gone)).equals(bytes)).toBe(true);
  });

  test("is shown small here, and by its own server", async () => {
    const picture = await sharp({
      create: { width: 400, height: 300, channels: 3, background: "#0a0" },
    })
      .png()
      .toBuffer();
    const file = await uploaded(picture, { contentType: "image/png" });
    const small = await get(`thumbnail/${file}?width=32&height=32&method=crop`);
    expect(small.status).toBe(200);
    expect(await sizeOf(await bytesOf(small))).toEqual([32, 32]);
    const mediaId = file.split("/")[1] ?? "";
    const asked = { mediaId, width: 320, height: 240, method: "scale" } as const;
    const theirs = await hs1.hs.remotes.getContentThumbnail(hs2.name, asked);
    if (!theirs.ok) throw new Error(theirs.why);
    expect(theirs.body.contentType).toMatch(/^image\//);
    const shown = Buffer.concat((await theirs.body.body.toArray()) as Buffer[]);
    expect(await sizeOf(shown)).toEqual([320, 240]);
  });

  test("is not there if nobody has it", async () => {
    for (const file of [`${hs2.name}/nothing`, "nowhere.test/nothing"]) {
      const answer = await get(`download/${file}`);
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ errcode: "M_NOT_FOUND" });
    }
    const nothing = await hs1.hs.remotes.getContent(hs2.name, { mediaId: "nothing" });
    expect(nothing).toMatchObject({ why: "refused", status: 404, errcode: "M_NOT_FOUND" });
    const { name: origin } = hs1;
    const absurd = await hs2.hs.remotes.getContent(origin, { mediaId: "no/such" });
    expect(absurd).toMatchObject({ why: "refused", errcode: "M_INVALID_PARAM" });
  });
});

describe("what another server sends", () => {
  const multipart = { "content-type": "multipart/mixed; boundary=XX" };
  const before =
    "--XX\r\nContent-Type: application/json\r\n\r\n{}\r\n--XX\r\nContent-Type: a/b\r\n\r\n";
  const after = "\r\n--XX--";
  let files = 0;

  test("is passed on as it comes, to all who ask, and is asked for once", async () => {
    let end = () => {};
    says = (response) => {
      response.writeHead(200, multipart);
      response.write(`${before}${"a".repeat(300_000)}`);
      end = () => response.end(`${"b".repeat(300_000)}${after}`);
    };
    requests = 0;
    const path = `download/${liar}/file${files++}`;
    const [one, other] = await Promise.all([get(path), get(path)]);
    const readers = [one, other].map((it) => it.body?.getReader());
    for (const reader of readers) {
      const { value } = (await reader?.read()) ?? {};
      expect(Buffer.from(value ?? []).toString()).toMatch(/^a+$/);
    }
    const late = get(path, { range: "bytes=-3" });
    end();
    for (const reader of readers) {
      let last = Buffer.alloc(0);
      for (let it = await reader?.read(); it?.value; it = await reader?.read()) {
        last = Buffer.from(it.value);
      }
      expect(last.toString().slice(-3)).toBe("bbb");
    }
    expect((await bytesOf(await late)).toString()).toBe("bbb");
    expect(requests).toBe(1);
  });

  test("is not kept if it is cut off, and is asked for again", async () => {
    says = (response) => {
      response.writeHead(200, { ...multipart, "content-length": "1000000" });
      response.write(`${before}${"a".repeat(300)}`, () => response.destroy());
    };
    requests = 0;
    const file = `${liar}/file${files++}`;
    const kept = await copies();
    // Who wants a part waits for the whole.
    const cut = await get(`download/${file}`, { range: "bytes=0-" });
    expect(cut.status).toBe(502);
    expect(await copies()).toBe(kept);
    says = (response) => response.writeHead(200, multipart).end(`${before}whole${after}`);
    expect((await fetched(file)).toString()).toBe("whole");
    expect(requests).toBe(2);
  });

  test("is not kept if it is too large", async () => {
    says = (response) =>
      response.writeHead(200, multipart).end(`${before}${"a".repeat(3_000_000)}${after}`);
    const path = `thumbnail/${liar}/file${files++}?width=8&height=8`;
    const kept = await copies();
    const answer = await get(path);
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({ errcode: "M_TOO_LARGE" });
    expect(await copies()).toBe(kept);
  });

  test("that it has to wait for an upload is passed on", async () => {
    says = (response) =>
      response.writeHead(504).end(JSON.stringify({ errcode: "M_NOT_YET_UPLOADED", error: "" }));
    const answer = await get(`download/${liar}/file${files++}`);
    expect(answer.status).toBe(504);
    expect(await answer.json()).toMatchObject({ errcode: "M_NOT_YET_UPLOADED" });
  });
});

test("copies that nobody wants any more go, and no others", async () => {
  const file = await uploaded(Buffer.from("old"));
  await fetched(file);
  const recent = await copies();
  const old = Date.now() - 91 * 24 * 60 * 60 * 1000;
  await hs1.hs.sql`update media set used_ms = ${old} where media_id = ${file.split("/")[1] ?? ""}`;
  while ((await forgetRemoteMedia.run(hs1.hs, new AbortController().signal)) === "more");
  expect(await copies()).toBe(recent - 1);
  await hs1.hs.sql`update media set used_ms = 1 where used_ms is not null`;
  expect((await bytesOf(await get(`download/${file}`))).toString()).toBe("old");
});
