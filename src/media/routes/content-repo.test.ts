import { createHash, randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type MediaRequest, mediaServers } from "../testing.ts";

const LIMIT = 1024 * 1024;
const servers = await mediaServers(2, { maxUploadBytes: LIMIT, maxPendingUploads: 3 });
const old = await mediaServers(1, { unauthenticatedAccess: true });
afterAll(async () => await Promise.all([servers.close(), old.close()]));

const DOWNLOAD = "/_matrix/client/v1/media/download";
const Created = z.object({ content_uri: z.string(), unused_expires_at: z.number().optional() });

/** `server/mediaId` of a URI that a response gives. */
async function partsOf(response: Response): Promise<string> {
  return Created.parse(await response.json()).content_uri.replace("mxc://", "");
}

async function upload(
  body: NonNullable<RequestInit["body"]>,
  query = "",
  options: MediaRequest = {},
): Promise<string> {
  const response = await servers.fetch(`/_matrix/media/v3/upload${query}`, {
    method: "POST",
    body,
    ...options,
  });
  expect(response.status).toBe(200);
  return await partsOf(response);
}

async function create(as = "alice"): Promise<string> {
  return await partsOf(await servers.fetch("/_matrix/media/v1/create", { method: "POST", as }));
}

async function refusal(response: Response) {
  return { status: response.status, ...z.looseObject({}).parse(await response.json()) };
}

const filesLeft = () => readdirSync(join(servers.directory, "unfinished"));

describe("uploadContent", () => {
  test("stores bytes that every process then serves, as they were described", async () => {
    const bytes = randomBytes(300_000);
    const parts = await upload(bytes, "?filename=%E2%98%95.png", {
      headers: { "content-type": "image/png" },
    });
    expect(parts).toMatch(/^test\/[A-Za-z0-9_-]+$/);

    const response = await servers.fetch(`${DOWNLOAD}/${parts}`, { server: 1, as: "bob" });
    expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "image/png",
      "content-length": "300000",
      "content-disposition": "inline; filename*=utf-8''%E2%98%95.png",
      "content-security-policy": expect.stringMatching(/^sandbox; default-src 'none'/),
      "cross-origin-resource-policy": "cross-origin",
      "access-control-allow-origin": "*",
      "x-content-type-options": "nosniff",
      etag: `"${createHash("sha256").update(bytes).digest("base64url")}"`,
      "cache-control": expect.stringContaining("private"),
    });
  });

  test("keeps nothing of what is over the limit, whether the client says so or not", async () => {
    const before = filesLeft();
    const said = await servers.fetch("/_matrix/media/v3/upload", {
      method: "POST",
      body: Buffer.alloc(LIMIT + 1),
    });
    expect(await refusal(said)).toMatchObject({ status: 413, errcode: "M_TOO_LARGE" });

    const chunk = Buffer.alloc(200_000);
    const unsaid = await servers.fetch("/_matrix/media/v3/upload", {
      method: "POST",
      duplex: "half",
      body: ReadableStream.from(Array.from({ length: 6 }, () => chunk)),
    });
    expect(await refusal(unsaid)).toMatchObject({ status: 413, errcode: "M_TOO_LARGE" });
    expect(filesLeft()).toEqual(before);
  });

  test("takes just as much as the limit, and nothing at all", async () => {
    for (const size of [LIMIT, 0]) {
      const parts = await upload(Buffer.alloc(size));
      const response = await servers.fetch(`${DOWNLOAD}/${parts}`);
      expect((await response.arrayBuffer()).byteLength).toBe(size);
    }
  });

  test("keeps nothing of an upload whose client goes away", async () => {
    const before = filesLeft();
    const url = `${servers.all[0]?.url}/_matrix/media/v3/upload`;
    const half = request(url, {
      method: "POST",
      headers: { authorization: "Bearer alice", "content-length": "500000" },
    });
    half.on("error", () => {});
    half.write(Buffer.alloc(100_000));
    await expect.poll(filesLeft).toHaveLength(before.length + 1);
    half.destroy();
    await expect.poll(filesLeft).toEqual(before);
  });

  test("refuses names that no file has, and those who are not logged in", async () => {
    const bad = ["%00", `${"a".repeat(1025)}`];
    for (const filename of bad) {
      const path = `/_matrix/media/v3/upload?filename=${filename}`;
      const response = await servers.fetch(path, { method: "POST", body: "x" });
      expect(await refusal(response)).toMatchObject({ status: 400, errcode: "M_INVALID_PARAM" });
    }
    const options = { method: "POST", body: "x", as: null };
    expect(await refusal(await servers.fetch("/_matrix/media/v3/upload", options))).toMatchObject({
      status: 401,
      errcode: "M_MISSING_TOKEN",
    });
  });
});

describe("getContentAuthed", () => {
  test("serves every range as the whole has it", async () => {
    const bytes = randomBytes(200_000);
    const parts = await upload(bytes);
    for (const [range, start, end] of [
      ["bytes=0-9", 0, 10],
      ["bytes=100-150000", 100, 150_001],
      ["bytes=-5", 199_995, 200_000],
    ] as const) {
      const response = await servers.fetch(`${DOWNLOAD}/${parts}`, { headers: { range } });
      expect(response.status).toBe(206);
      expect(response.headers.get("content-range")).toBe(`bytes ${start}-${end - 1}/200000`);
      const got = Buffer.from(await response.arrayBuffer());
      expect(got.equals(bytes.subarray(start, end))).toBe(true);
    }
    const beyond = await servers.fetch(`${DOWNLOAD}/${parts}`, {
      headers: { range: "bytes=200000-" },
    });
    expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, "bytes */200000"]);
    const stale = { range: "bytes=0-9", "if-range": '"other"' };
    const whole = await servers.fetch(`${DOWNLOAD}/${parts}`, { headers: stale });
    expect([whole.status, (await whole.arrayBuffer()).byteLength]).toEqual([200, 200_000]);
  });

  test("says so if the client has it already", async () => {
    const parts = await upload("hello");
    const first = await servers.fetch(`${DOWNLOAD}/${parts}`);
    const etag = first.headers.get("etag") ?? "";
    expect(await first.text()).toBe("hello");
    for (const header of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      const again = await servers.fetch(`${DOWNLOAD}/${parts}`, {
        headers: { "if-none-match": header },
      });
      expect(again.status).toBe(304);
    }
  });

  test("answers HEAD with the headers alone", async () => {
    const parts = await upload(Buffer.alloc(100_000));
    const response = await servers.fetch(`${DOWNLOAD}/${parts}`, { method: "HEAD" });
    expect([response.status, response.headers.get("content-length")]).toEqual([200, "100000"]);
    expect(await response.text()).toBe("");
  });

  test("shows in place only what is harmless, and calls it as the path does", async () => {
    const parts = await upload("<script>", "?filename=a.txt", {
      headers: { "content-type": "text/html" },
    });
    const own = await servers.fetch(`${DOWNLOAD}/${parts}`);
    expect(own.headers.get("content-disposition")).toBe('attachment; filename="a.txt"');
    const renamed = await servers.fetch(`${DOWNLOAD}/${parts}/b%2F.html`);
    expect(renamed.headers.get("content-disposition")).toBe('attachment; filename="b/.html"');
  });

  test.each([
    ["test/unknown", 404, "M_NOT_FOUND"],
    ["elsewhere.example/abc", 404, "M_NOT_FOUND"],
    ["test/..%2F..%2Fetc", 400, "M_INVALID_PARAM"],
    ["te%20st/abc", 400, "M_INVALID_PARAM"],
    ["test/abc%00", 400, "M_INVALID_PARAM"],
    ["test/unknown?timeout_ms=soon", 400, "M_INVALID_PARAM"],
  ])("refuses %s with %d %s", async (path, status, errcode) => {
    expect(await refusal(await servers.fetch(`${DOWNLOAD}/${path}`))).toMatchObject({
      status,
      errcode,
    });
  });

  test("serves guests, and nobody without a token", async () => {
    const parts = await upload("for all");
    const guest = await servers.fetch(`${DOWNLOAD}/${parts}`, { as: "guest" });
    expect(await guest.text()).toBe("for all");
    const nobody = await servers.fetch(`${DOWNLOAD}/${parts}`, { as: null });
    expect(await refusal(nobody)).toMatchObject({ status: 401, errcode: "M_MISSING_TOKEN" });
  });
});

describe("createContent and uploadContentToMXC", () => {
  const put = async (parts: string, as = "alice") =>
    await servers.fetch(`/_matrix/media/v3/upload/${parts}?filename=late`, {
      method: "PUT",
      body: "late",
      as,
    });

  test("let a download wait for the upload, in another process too", async () => {
    const parts = await create("carol");
    const waiting = [0, 1].map(
      async (server) =>
        await (await servers.fetch(`${DOWNLOAD}/${parts}`, { server, as: "bob" })).text(),
    );
    expect(await (await put(parts, "carol")).json()).toEqual({});
    expect(await Promise.all(waiting)).toEqual(["late", "late"]);
  });

  test("tell a download that does not wait that it is too early", async () => {
    const parts = await create("dave");
    const response = await servers.fetch(`${DOWNLOAD}/${parts}?timeout_ms=10`);
    expect(await refusal(response)).toMatchObject({ status: 504, errcode: "M_NOT_YET_UPLOADED" });
  });

  test("let nobody else upload, nor anybody twice", async () => {
    const parts = await create("erin");
    expect(await refusal(await put(parts, "frank"))).toMatchObject({ status: 403 });
    const both = await Promise.all([put(parts, "erin"), put(parts, "erin")]);
    expect(both.map((it) => it.status).toSorted((a, b) => a - b)).toEqual([200, 409]);
    expect(await refusal(await put(parts, "erin"))).toMatchObject({
      status: 409,
      errcode: "M_CANNOT_OVERWRITE_MEDIA",
    });
    const never = await put("test/neverCreated");
    expect(await refusal(never)).toMatchObject({ status: 404, errcode: "M_NOT_FOUND" });
    const elsewhere = await put("elsewhere.example/abc");
    expect(await refusal(elsewhere)).toMatchObject({ status: 404, errcode: "M_NOT_FOUND" });
  });

  test("limit what one user announces, until it is uploaded or has expired", async () => {
    const first = await create("grace");
    const second = await create("grace");
    await create("grace");
    const more = async () =>
      await servers.fetch("/_matrix/media/v1/create", { method: "POST", as: "grace" });
    expect(await refusal(await more())).toMatchObject({ status: 429, errcode: "M_LIMIT_EXCEEDED" });
    await put(first, "grace");
    expect((await more()).status).toBe(200);

    await servers.sql`update media set expires_at_ms = 1 where media_id = ${second.split("/")[1] ?? ""}`;
    expect((await more()).status).toBe(200);
    expect(await refusal(await put(second, "grace"))).toMatchObject({ status: 404 });
    const gone = await servers.fetch(`${DOWNLOAD}/${second}`);
    expect(await refusal(gone)).toMatchObject({ status: 404, errcode: "M_NOT_FOUND" });
  });

  test("say until when", async () => {
    const response = await servers.fetch("/_matrix/media/v1/create", {
      method: "POST",
      as: "heidi",
    });
    const { unused_expires_at: at } = Created.parse(await response.json());
    expect(at).toBeGreaterThan(Date.now() + 23 * 60 * 60 * 1000);
  });
});

describe("the deprecated paths", () => {
  test("serve nothing unless they are switched on", async () => {
    const parts = await upload("secret");
    for (const version of ["r0", "v1", "v3"]) {
      const path = `/_matrix/media/${version}/download/${parts}`;
      const response = await servers.fetch(path, { as: null });
      expect(await refusal(response)).toMatchObject({ status: 404, errcode: "M_NOT_FOUND" });
    }
  });

  test("serve everybody if they are", async () => {
    const options = { method: "POST", body: "open" };
    const parts = await partsOf(await old.fetch("/_matrix/media/r0/upload", options));
    for (const version of ["r0", "v1", "v3"]) {
      const path = `/_matrix/media/${version}/download/${parts}/name.txt`;
      const response = await old.fetch(path, { as: null });
      expect(await response.text()).toBe("open");
      expect(response.headers.get("cache-control")).toContain("public");
    }
  });
});

test("getConfigAuthed and getConfig say the limit", async () => {
  for (const path of ["client/v1/media/config", "media/v3/config", "media/r0/config"]) {
    const response = await servers.fetch(`/_matrix/${path}`);
    expect(await response.json()).toEqual({ "m.upload.size": LIMIT });
  }
});
