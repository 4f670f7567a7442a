import { get } from "node:http";
import { json } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const ALL = "/unstable/io.element.msc4388/rendezvous";

/** The grammar of opaque identifiers. */
const OPAQUE = /^[0-9A-Za-z._~-]{1,255}$/;
const FIVE_MINUTES_MS = 300_000;

async function opened(data = "hello") {
  const { status, body, text, headers } = await alice.call("POST", ALL, { data });
  if (status !== 200) throw new Error(text);
  const { id, sequence_token: token, expires_in_ms: left } = body;
  return { id: String(id), token: String(token), left: Number(left), headers };
}
const read = async (id: string) => await hs.request("GET", `${ALL}/${id}`);
const write = async (id: string, sequence_token: string, data: unknown) =>
  await hs.request("PUT", `${ALL}/${id}`, { body: { sequence_token, data } });

const CONCURRENT = refusal(409, "IO_ELEMENT_MSC4388_CONCURRENT_WRITE");
const LARGE = refusal(413, "M_TOO_LARGE");

/** MSC4388. */
describe("discoverRendezvous", () => {
  test("tells users that they may make places, and nobody else", async () => {
    const guest = await hs.registerGuest();
    const asked = async (token?: string) =>
      await hs.request("GET", ALL, token === undefined ? {} : { token });
    expect((await asked(alice.token)).body).toEqual({ create_available: true });
    expect((await asked(guest.token)).body).toEqual({ create_available: false });
    expect(await asked()).toMatchObject({ status: 200, body: { create_available: false } });
    expect(await asked("none")).toMatchObject(refusal(401, "M_UNKNOWN_TOKEN"));
  });
});

describe("createRendezvousSession", () => {
  test("makes a place that two clients can know of", async () => {
    const { id, token, left, headers } = await opened();
    expect(id).toMatch(OPAQUE);
    expect(token).toMatch(OPAQUE);
    expect(left).toBeGreaterThan(FIVE_MINUTES_MS / 2);
    expect(left).toBeLessThanOrEqual(FIVE_MINUTES_MS);
    expect(headers.get("cache-control")).toBe("no-store");
    expect((await opened()).id).not.toBe(id);
  });

  test("is for those who are logged in", async () => {
    const guest = await hs.registerGuest();
    const forbidden = refusal(403, "M_FORBIDDEN");
    expect(await hs.request("POST", ALL, { body: { data: "x" } })).toMatchObject(forbidden);
    const byGuest = { token: guest.token, body: { data: "x" } };
    expect(await hs.request("POST", ALL, byGuest)).toMatchObject(forbidden);
  });

  test("takes a text, and no more than it must", async () => {
    const bad = refusal(400, "M_BAD_JSON");
    expect(await alice.call("POST", ALL, {})).toMatchObject(bad);
    expect(await alice.call("POST", ALL, { data: 1 })).toMatchObject(bad);
    expect((await opened("x".repeat(4_096))).id).toMatch(OPAQUE);
    expect(await alice.call("POST", ALL, { data: "x".repeat(4_097) })).toMatchObject(LARGE);
    expect(await alice.call("POST", ALL, { data: "ä".repeat(2_049) })).toMatchObject(LARGE);
  });
});

describe("getRendezvousSession", () => {
  test("gives what was left last", async () => {
    const { id, token } = await opened("ahoy");
    const { status, body, headers } = await read(id);
    expect({ status, body }).toEqual({
      status: 200,
      body: { data: "ahoy", sequence_token: token, expires_in_ms: expect.any(Number) },
    });
    expect(headers.get("cache-control")).toBe("no-store");
    expect(await read("nowhere")).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });

  test("shows it to no browser that goes there", async () => {
    const { id } = await opened();
    // `fetch` says itself how it fetches.
    const asked = async (mode: string) => {
      const url = `${hs.url}/_matrix/client${ALL}/${id}`;
      const { promise, resolve, reject } = Promise.withResolvers<object>();
      const request = get(url, { headers: { "sec-fetch-mode": mode } }, (response) => {
        json(response).then((body) => resolve({ status: response.statusCode, body }), reject);
      });
      request.on("error", reject);
      return await promise;
    };
    expect(await asked("navigate")).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await asked("cors")).toMatchObject({ status: 200, body: { data: "hello" } });
  });

  test("gives nothing of what was left by the older protocol, nor the other way round", async () => {
    const older = "/unstable/org.matrix.msc4108/rendezvous";
    const { id } = await opened();
    const notFound = refusal(404, "M_NOT_FOUND");
    expect(await hs.request("GET", `${older}/${id}`)).toMatchObject(notFound);
    expect(await hs.request("DELETE", `${older}/${id}`)).toMatchObject(notFound);
    const text = { raw: "hello", headers: { "content-type": "text/plain" } };
    const { url } = (await hs.request("POST", older, text)).body;
    const other = String(url).split("/").at(-1) ?? "";
    expect(await read(other)).toMatchObject(notFound);
  });
});

describe("updateRendezvousSession", () => {
  test("takes what answers what was left last, and nothing else", async () => {
    const { id, token, left } = await opened("one");
    const first = await write(id, token, "two");
    expect(first).toMatchObject({ status: 200, body: { sequence_token: expect.any(String) } });
    expect(first.body.sequence_token).not.toBe(token);
    expect(await write(id, token, "three")).toMatchObject(CONCURRENT);
    expect(await write(id, "", "three")).toMatchObject(CONCURRENT);
    const { body } = await read(id);
    expect(body).toMatchObject({ data: "two", sequence_token: first.body.sequence_token });
    // The two have no longer for it than was said.
    expect(body.expires_in_ms).toBeLessThanOrEqual(left);
    expect(await write("nowhere", token, "x")).toMatchObject(refusal(404, "M_NOT_FOUND"));
    expect(await write(id, token, 1)).toMatchObject(refusal(400, "M_BAD_JSON"));
    expect(await write(id, token, "x".repeat(4_097))).toMatchObject(LARGE);
  });

  test("says the same again to whoever has not heard that it was done", async () => {
    const { id, token } = await opened();
    const first = await write(id, token, "two");
    const again = await write(id, token, "two");
    expect(again).toMatchObject({ status: 200, body: first.body });
    // Whoever knows how it is may leave the same once more.
    const anew = await write(id, String(first.body.sequence_token), "two");
    expect(anew.status).toBe(200);
    expect(anew.body.sequence_token).not.toBe(first.body.sequence_token);
  });

  test("lets one of two who write at once", async () => {
    const { id, token } = await opened();
    const answers = await Promise.all(
      ["a", "b", "c"].map(async (data) => await write(id, token, data)),
    );
    expect(answers.filter((it) => it.status === 200)).toHaveLength(1);
    expect(answers.filter((it) => it.status === 409)).toHaveLength(2);
  });
});

describe("cancelRendezvousSession", () => {
  test("takes the place away, once", async () => {
    const { id, token } = await opened();
    const path = `${ALL}/${id}`;
    expect(await hs.request("DELETE", path)).toMatchObject({ status: 200, body: {} });
    const notFound = refusal(404, "M_NOT_FOUND");
    expect(await read(id)).toMatchObject(notFound);
    expect(await write(id, token, "x")).toMatchObject(notFound);
    expect(await hs.request("DELETE", path)).toMatchObject(notFound);
  });
});
