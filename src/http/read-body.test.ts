import { once } from "node:events";
import { Readable } from "node:stream";
import { Hono, type HonoRequest } from "hono";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import type { MatrixError } from "#src/kit/matrix-error.ts";
import { readBody, readJsonBody } from "./read-body.ts";

const MEGABYTE = 1024 * 1024;

/** Reads a body as a route does: as Node has it, or as the web has it. */
async function read(bytes: Buffer, mostBytes: number, isNodes: boolean): Promise<number> {
  let size = 0;
  const app = new Hono();
  app.onError((error) => {
    throw error;
  });
  app.post("/", async (c) => {
    const incoming = isNodes
      ? Readable.from([bytes.subarray(0, 10), bytes.subarray(10)])
      : undefined;
    size = (await readBody(c.req, incoming, { mostBytes })).length;
    return c.body(null);
  });
  await app.request("/", { method: "POST", body: new Uint8Array(bytes) });
  return size;
}

test("a body that does not end is waited for only so long", async () => {
  const app = new Hono();
  const errors: unknown[] = [];
  app.onError((error, c) => {
    errors.push(error);
    return c.body(null);
  });
  const incoming = new Readable({ read() {} });
  incoming.push("x");
  const limits = { mostBytes: MEGABYTE, longestMs: 20 };
  app.post("/", async (c) => c.json((await readBody(c.req, incoming, limits)).length));
  await app.request("/", { method: "POST" });
  expect(errors).toMatchObject([{ errcode: "M_UNKNOWN", status: 408 }]);
});

test("a body is not waited for whose sender has gone before it is read", async () => {
  const incoming = new Readable({ read() {} });
  incoming.push("{");
  const closed = once(incoming, "close");
  incoming.destroy();
  await closed;
  const limits = { mostBytes: MEGABYTE, longestMs: 600_000 };
  const reading = readBody({} as HonoRequest, incoming, limits);
  await expect(reading).rejects.toMatchObject({ errcode: "M_NOT_JSON" });
});

test("JSON that does not end is waited for only so long, whoever sends it", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const incoming = new Readable({ read() {} });
    incoming.push("{");
    const read = readJsonBody({} as HonoRequest, incoming, z.looseObject({}));
    const [ended] = await Promise.all([
      Promise.allSettled([read]),
      vi.advanceTimersByTimeAsync(5 * 60_000),
    ]);
    expect(ended).toMatchObject([{ reason: { errcode: "M_UNKNOWN", status: 408 } }]);
  } finally {
    vi.useRealTimers();
  }
});

test("JSON that would take long to read is refused before it is", async () => {
  const app = new Hono();
  const errors: unknown[] = [];
  app.onError((error, c) => {
    errors.push(error);
    return c.body(null);
  });
  app.post("/", async (c) => c.json(await readJsonBody(c.req, undefined, z.looseObject({}))));
  const post = async (body: string) => await app.request("/", { method: "POST", body });

  const names = Array.from({ length: 100_001 }, (_, index) => `"${index}":1`);
  await post(`{${names.join(",")}}`);
  await post(`{"a":[${"1,".repeat(200_000)}1]}`);
  await post(`{"a":${"[".repeat(100)}${"]".repeat(100)}}`);
  const errcodes = errors.map((it) => (it as MatrixError).errcode);
  expect(errcodes).toEqual(["M_TOO_LARGE", "M_TOO_LARGE", "M_BAD_JSON"]);

  const text = `{"a":"${',:[{\\"'.repeat(100_000)}"}`;
  expect(await (await post(text)).text()).toBe(text);
  expect(errors).toHaveLength(3);
});

describe.each([true, false])("a body, as Node has it: %s", (isNodes) => {
  test("may be as large as its route allows, and no larger", async () => {
    const bytes = Buffer.alloc(10 * MEGABYTE, " ");
    expect(await read(bytes, 16 * MEGABYTE, isNodes)).toBe(bytes.length);
    await expect(read(bytes, 9 * MEGABYTE, isNodes)).rejects.toMatchObject({
      errcode: "M_TOO_LARGE",
      status: 413,
    });
  });

  test("is UTF-8", async () => {
    const broken = Buffer.concat([Buffer.from("0123456789"), Buffer.from([0xff])]);
    await expect(read(broken, MEGABYTE, isNodes)).rejects.toMatchObject({ errcode: "M_NOT_JSON" });
  });
});
