import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { HttpConnection, readAnswer } from "./http-connection.ts";

describe("an answer", () => {
  const plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  const chunked =
    "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";

  test.each([
    [plain, 200],
    [chunked, 404],
  ])("is read when all of it is there, and not before", (wire, status) => {
    for (let length = 0; length < wire.length; length++) {
      expect(readAnswer(Buffer.from(wire.slice(0, length)))).toBeUndefined();
    }
    const answer = readAnswer(Buffer.from(wire));
    expect(answer).toMatchObject({ status, closes: false });
    expect(answer?.body.toString()).toBe("hello");
  });
});

describe("a connection", () => {
  let server: Server | undefined;
  afterEach(() => server?.closeAllConnections());
  afterEach(() => server?.close());

  test("is kept, and opened again when the server has closed it", async () => {
    let connections = 0;
    server = createServer((_, response) => response.end("ok")).listen(0, "127.0.0.1");
    server.on("connection", () => (connections += 1));
    await once(server, "listening");
    const connection = new HttpConnection({
      host: "127.0.0.1",
      port: (server.address() as AddressInfo).port,
    });
    const request = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    await connection.exchange(request, true);
    await connection.exchange(request, true);
    expect(connections).toBe(1);
    server.closeAllConnections();
    expect((await connection.exchange(request, true)).body.toString()).toBe("ok");
    expect(connections).toBe(2);
    expect(connection.bytesWritten).toBeGreaterThanOrEqual(3 * request.length);
    connection.close();
  });
});
