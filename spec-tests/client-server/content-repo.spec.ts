import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const admin = await hs.registerAdministrator("admin");
const { token } = alice;
const MEDIA = "/_matrix/media/v3";
const notFound = refusal(404, "M_NOT_FOUND");

/** A picture of one pixel. */
const PNG = new Uint8Array(
  Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
    "base64",
  ),
);
const upload = async (raw: string | Uint8Array<ArrayBuffer>, type: string, query = "") =>
  await hs.request("POST", `${MEDIA}/upload${query}`, {
    token,
    raw,
    headers: { "content-type": type },
  });
const idOf = (mxc: string) => mxc.replace("mxc://", "");
const picture = idOf((await upload(PNG, "image/png")).body.content_uri);
const text = idOf((await upload("hello", "text/plain", "?filename=a.txt")).body.content_uri);

/** @spec client-server-api#post_matrixmediav3upload */
describe("uploadContent", () => {
  test("answers with the URI of what was uploaded", async () => {
    const { status, body } = await upload("x", "text/plain");
    expect(status).toBe(200);
    expect(body.content_uri).toMatch(/^mxc:\/\/hs\.test\/[A-Za-z0-9_-]+$/);
  });

  test("refuses what is larger than it says that it takes", async () => {
    const small = await homeserver({ ARCHIPEL_MEDIA_MAX_UPLOAD_BYTES: "10" });
    const user = await small.registerUser("alice");
    const raw = "x".repeat(11);
    const answer = await small.request("POST", `${MEDIA}/upload`, { token: user.token, raw });
    expect(answer).toMatchObject(refusal(413, "M_TOO_LARGE"));
  });
});

describe("uploads over a user's quota", () => {
  /** @spec client-server-api#post_matrixmediav3upload */
  test("are forbidden, however they are made", async () => {
    const small = await homeserver({
      ARCHIPEL_MEDIA_MAX_USER_BYTES: "10",
      ARCHIPEL_MEDIA_MAX_USER_FILES: "3",
    });
    const users = [await small.registerUser("alice"), await small.registerUser("bob")];
    const forbidden = refusal(403, "M_FORBIDDEN");
    for (const { token: by } of users) {
      const post = async (raw: string) =>
        await small.request("POST", `${MEDIA}/upload`, { token: by, raw });
      const create = async () =>
        await small.request("POST", "/_matrix/media/v1/create", { token: by });
      const announced = idOf((await create()).body.content_uri);
      const put = async (raw: string) =>
        await small.request("PUT", `${MEDIA}/upload/${announced}`, { token: by, raw });
      expect((await post("12345678")).status).toBe(200);
      expect(await post("123")).toMatchObject(forbidden);
      expect(await put("123")).toMatchObject(forbidden);
      expect((await put("1")).status).toBe(200);
      expect((await post("2")).status).toBe(200);
      expect(await post("")).toMatchObject(forbidden);
      expect(await create()).toMatchObject(forbidden);
    }
  });
});

/** @spec client-server-api#post_matrixmediav1create */
describe("createContent", () => {
  test("gives a URI to upload to later", async () => {
    const { status, body } = await hs.request("POST", "/_matrix/media/v1/create", { token });
    expect(status).toBe(200);
    expect(body.unused_expires_at).toBeGreaterThan(Date.now());
  });
});

/** @spec client-server-api#put_matrixmediav3uploadservernamemediaid */
describe("uploadContentToMXC", () => {
  test("puts what one announced there, once, and nobody else", async () => {
    const made = await hs.request("POST", "/_matrix/media/v1/create", { token });
    const id = idOf(made.body.content_uri);
    const waited = `/v1/media/download/${id}?timeout_ms=0`;
    expect(await alice.call("GET", waited)).toMatchObject(refusal(504, "M_NOT_YET_UPLOADED"));
    const put = async (by: string) =>
      await hs.request("PUT", `${MEDIA}/upload/${id}`, { token: by, raw: "later" });
    expect(await put(bob.token)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect((await put(token)).status).toBe(200);
    expect((await alice.call("GET", waited)).text).toBe("later");
    const patient = `/v1/media/download/${id}?timeout_ms=9223372036854775807`;
    expect((await alice.call("GET", patient)).text).toBe("later");
    expect(await put(token)).toMatchObject(refusal(409, "M_CANNOT_OVERWRITE_MEDIA"));
  });
});

const CONFIGS = [
  ["getConfig", `${MEDIA}/config`],
  ["getConfigAuthed", "/v1/media/config"],
] as const;

/** @spec client-server-api#get_matrixclientv1mediaconfig */
describe.each(CONFIGS)("%s", (_, path) => {
  test("says how large an upload may be", async () => {
    const { status, body } = await alice.call("GET", path);
    expect(status).toBe(200);
    expect(body["m.upload.size"]).toBeGreaterThan(0);
  });
});

const DOWNLOADS = [
  { operation: "getContent", base: `${MEDIA}/download`, as: undefined, name: "" },
  { operation: "getContentAuthed", base: "/v1/media/download", as: token, name: "" },
  { operation: "getContentOverrideName", base: `${MEDIA}/download`, as: undefined, name: "/b.txt" },
  {
    operation: "getContentOverrideNameAuthed",
    base: "/v1/media/download",
    as: token,
    name: "/b.txt",
  },
];

/** @spec client-server-api#get_matrixclientv1mediadownloadservernamemediaid */
describe.each(DOWNLOADS)("$operation", ({ base, as, name }) => {
  test("answers with the file, in a way that is safe to open", async () => {
    const {
      status,
      text: got,
      headers,
    } = await hs.request("GET", `${base}/${text}${name}`, { token: as });
    expect([status, got]).toEqual([200, "hello"]);
    expect(headers.get("content-type")).toMatch(/^text\/plain/);
    expect(headers.get("content-disposition")).toContain(name === "" ? "a.txt" : "b.txt");
    expect(headers.get("content-security-policy")).toContain("sandbox");
    expect(headers.get("cross-origin-resource-policy")).toBe("cross-origin");
  });

  test("knows no file that is not there", async () => {
    const answer = await hs.request("GET", `${base}/hs.test/nothing${name}`, { token: as });
    expect(answer).toMatchObject(notFound);
  });
});

const THUMBNAILS = [
  { operation: "getContentThumbnail", base: `${MEDIA}/thumbnail`, as: undefined },
  { operation: "getContentThumbnailAuthed", base: "/v1/media/thumbnail", as: token },
];

/** @spec client-server-api#get_matrixclientv1mediathumbnailservernamemediaid */
describe.each(THUMBNAILS)("$operation", ({ base, as }) => {
  const get = async (query: string, id = picture) =>
    await hs.request("GET", `${base}/${id}?${query}`, { token: as });

  test("answers with a picture", async () => {
    const { status, headers } = await get("width=32&height=32&method=crop");
    expect(status).toBe(200);
    expect(headers.get("content-type")).toMatch(/^image\//);
  });

  test("refuses sizes that are none, and what is no picture", async () => {
    expect(await get("width=32")).toMatchObject(refusal(400, "M_MISSING_PARAM"));
    expect(await get("width=0&height=32")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect(await get("width=32&height=32&method=x")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect((await get("width=32&height=32", text)).status).toBeOneOf([400, 404]);
    expect(await get("width=32&height=32", "hs.test/nothing")).toMatchObject(notFound);
  });
});

const act = async (what: "quarantine" | "unquarantine", id: string, by = admin.token) =>
  await hs.request("POST", `/_synapse/admin/v1/media/${what}/${id}`, { token: by });
const seen = async (id: string) => {
  const paths = [
    `/v1/media/download/${id}`,
    `/v1/media/download/${id}/a.png`,
    `/v1/media/thumbnail/${id}?width=32&height=32&method=crop`,
  ];
  const answers = await Promise.all(paths.map(async (path) => await bob.call("GET", path)));
  return answers.map((it) => it.status);
};

describe("quarantineMedia", () => {
  test("takes media out of sight of everybody", async () => {
    const id = idOf((await upload(PNG, "image/png")).body.content_uri);
    expect(await seen(id)).toEqual([200, 200, 200]);
    expect(await act("quarantine", id, token)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await seen(id)).toEqual([200, 200, 200]);
    expect((await act("quarantine", id)).status).toBe(200);
    expect((await act("quarantine", id)).status).toBe(200);
    expect(await seen(id)).toEqual([404, 404, 404]);
    const absurd = await act("quarantine", "hs.test/no%2Fsuch");
    expect(absurd).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});

describe("unquarantineMedia", () => {
  test("brings it back", async () => {
    const id = idOf((await upload(PNG, "image/png")).body.content_uri);
    await act("quarantine", id);
    expect(await act("unquarantine", id, token)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await seen(id)).toEqual([404, 404, 404]);
    expect((await act("unquarantine", id)).status).toBe(200);
    expect(await seen(id)).toEqual([200, 200, 200]);
    expect((await act("unquarantine", "hs.test/nothing")).status).toBe(200);
  });
});
