import { once } from "node:events";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { freePort } from "./free-port.ts";

test("a port that is found is free, and none of those that systems give away", async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, async () => await freePort()));
  for (const port of ports) {
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening");
    server.close();
    await once(server, "close");
    expect(port).toBeLessThan(32_768);
  }
});
