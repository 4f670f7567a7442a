import { afterAll, beforeAll, expect, test } from "vitest";
import { createLogger } from "#src/homeserver/log.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { OutboundError } from "./outbound-failure.ts";
import { sendRequest } from "./send-request.ts";

let servers: TestHomeservers;
beforeAll(async () => void (servers = await testHomeservers()));
afterAll(async () => await servers.close());

test("the log says on debug who has not answered and why, and nothing of what was asked", async () => {
  const lines: string[] = [];
  const log = createLogger({ level: "debug", format: "json" }, { write: (it) => lines.push(it) });
  const asked = sendRequest(
    { ...servers.hs, log },
    {
      purpose: "test",
      destination: {
        protocol: "https:",
        host: "127.0.0.1",
        port: 1,
        certificateName: "127.0.0.1",
        hostHeader: "127.0.0.1:1",
      },
      method: "GET",
      path: "/secret?token=secret",
      timeoutMs: 5_000,
      mostBytes: 1_000,
    },
  );
  await expect(asked).rejects.toThrow(OutboundError);
  expect(lines.map((it) => JSON.parse(it) as unknown)).toEqual([
    expect.objectContaining({ purpose: "test", host: "127.0.0.1:1", fault: "forbidden-address" }),
  ]);
  expect(lines.join()).not.toContain("secret");
});
