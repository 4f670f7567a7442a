import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import type { ClientEvent } from "../answers.ts";
import { PROCESSES } from "../shared-homeservers.ts";
import { homeserver } from "./client.ts";

const hs = await homeserver();

/** Sends bytes as they are, which no client of HTTP would, and reads what comes until the end. */
async function talk(bytes: string): Promise<string> {
  const { hostname, port } = new URL(hs.url);
  const socket = connect(Number(port), hostname);
  socket.write(bytes);
  return await text(socket);
}

/** Requests a target as it is: other clients would tidy up its path. */
async function request(method: string, target: string, { token = "", body = "" } = {}) {
  const answer = await talk(
    `${method} ${target} HTTP/1.1\r\nhost: hs.test\r\nconnection: close\r\nauthorization: Bearer ${token}\r\n` +
      `content-length: ${body.length}\r\n\r\n${body}`,
  );
  return {
    status: Number(answer.split(" ", 2)[1]),
    body: JSON.parse(answer.split("\r\n\r\n", 2)[1] ?? ""),
  };
}

describe("a path", () => {
  test.each([
    "/_matrix/client/v3/../versions",
    "/_matrix/client/./versions",
    "/_matrix/client/v3/%2e%2e/versions",
    "/_matrix/client/%2E./../_synapse/admin/v1/register",
  ])("leads nowhere by steps up: %s", async (target) => {
    const { status, body } = await request("GET", target);
    expect([status, body.errcode]).toEqual([404, "M_UNRECOGNIZED"]);
  });

  test.each([".", "..", "%2e", "%2e%2E", "%252e"])(
    "has the identifier %s as it is",
    async (key) => {
      const user = await hs.registerUser("dots");
      const { token } = user;
      const roomId = await user.createRoom();
      const target = `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/state/m.test/${key}`;
      expect((await request("PUT", target, { token, body: '{"n":1}' })).status).toBe(200);
      expect((await request("GET", target, { token })).body).toEqual({ n: 1 });
      const path = `/v3/rooms/${encodeURIComponent(roomId)}/state`;
      const state = await user.call<readonly ClientEvent[]>("GET", path);
      const keys = state.body.flatMap((it) => (it.type === "m.test" ? [it.state_key] : []));
      expect(keys).toEqual([decodeURIComponent(key)]);
    },
  );
});

test("who checks the health may speak HTTP/1.0 and name no host", async () => {
  expect(await talk("GET /health HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 /);
});

// A balancer answers these itself.
test.runIf(PROCESSES === 1).each([
  ["a host that is none", "GET /health HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n", 400],
  ["a target that is none", "GET ftp://x/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 400],
  ["no HTTP", "\u0016\u0003\u0001\r\n\r\n", 400],
  ["headers beyond measure", `GET / HTTP/1.1\r\nhost: x\r\nx: ${"x".repeat(70_000)}\r\n\r\n`, 431],
])("%s is refused with an answer that a web page may read", async (_name, bytes, status) => {
  const answer = await talk(bytes);
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(answer).toMatch(/^access-control-allow-origin: \*\r$/m);
  expect(JSON.parse(answer.split("\r\n\r\n", 2)[1] ?? "").errcode).toMatch(/^M_/);
});
