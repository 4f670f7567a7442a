import { writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { testDirectory } from "#src/testing-directory.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import type { Destination } from "./destination.ts";
import { OutboundError, type OutboundFault } from "./outbound-failure.ts";
import { type OutboundRequest, sendRequest, streamRequest } from "./send-request.ts";
import { testAuthority, testTlsServer, type TestTlsServer } from "./testing.ts";

const authority = testAuthority();
const hostsFile = join(testDirectory(), "hosts");
let servers: TestHomeservers;
/** May connect to loopback. */
let hs: Homeserver;
/** May not. */
let guarded: Homeserver;
let remote: TestTlsServer;
/** What the server at the other end does. */
let behaviour: RequestListener;

beforeAll(async () => {
  writeFileSync(hostsFile, "127.0.0.1 good.test\n127.0.0.1 other.test\n127.0.0.1 rebound.test\n");
  servers = await testHomeservers(1, {
    ARCHIPEL_FEDERATION_CA_FILE: authority.caFile,
    ARCHIPEL_FEDERATION_HOSTS_FILE: hostsFile,
  });
  guarded = servers.hs;
  hs = allowing("127.0.0.1/32");
  remote = await testTlsServer(authority.issue("good.test"), (request, response) =>
    behaviour(request, response),
  );
});
beforeEach(() => {
  behaviour = (_request, response) => response.end("{}");
});
afterAll(async () => {
  await remote.close();
  await servers.close();
});

/** The same homeserver, with the memory of another. */
function allowing(range: string): Homeserver {
  const { config } = servers.hs;
  const federation = { ...config.federation, allowedAddressRanges: [range] };
  return { ...servers.hs, config: { ...config, federation } };
}

function to(host: string, port = remote.port): Destination {
  return { protocol: "https:", host, port, certificateName: host, hostHeader: `${host}:${port}` };
}

function request(destination: Destination, more: Partial<OutboundRequest> = {}): OutboundRequest {
  return {
    purpose: "test",
    destination,
    method: "GET",
    path: "/",
    timeoutMs: 5_000,
    mostBytes: 1_000,
    ...more,
  };
}

async function faultOf(it: Promise<unknown>): Promise<OutboundFault | undefined> {
  const error: unknown = await it.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error !== undefined && !(error instanceof OutboundError)) throw error;
  return error?.fault;
}

test("sends what it is told to, and gives back what it gets", async () => {
  behaviour = (incoming, response) => {
    response.writeHead(418, {
      "x-seen": `${incoming.method} ${incoming.url} ${incoming.headers.host}`,
    });
    incoming.pipe(response);
  };
  const answer = await sendRequest(
    hs,
    request(to("good.test"), { method: "PUT", path: "/a%2Fb?c=%20", body: '{"a":1}' }),
  );
  expect(answer.status).toBe(418);
  expect(answer.headers.get("x-seen")).toBe(`PUT /a%2Fb?c=%20 good.test:${remote.port}`);
  expect(answer.body.toString()).toBe('{"a":1}');
});

test("keeps connections from one request to the next", async () => {
  const ports = new Set<number | undefined>();
  behaviour = (incoming, response) => {
    ports.add(incoming.socket.remotePort);
    response.end();
  };
  for (let count = 0; count < 10; count++) await sendRequest(hs, request(to("good.test")));
  // Not always one: the next may begin before the last is quite over.
  expect(ports.size).toBeLessThanOrEqual(2);
});

describe("of addresses that are not open", () => {
  test("connects to none, be they named or written out", async () => {
    let connections = 0;
    behaviour = () => connections++;
    expect(await faultOf(sendRequest(guarded, request(to("good.test"))))).toBe("forbidden-address");
    expect(await faultOf(sendRequest(guarded, request(to("127.0.0.1"))))).toBe("forbidden-address");
    expect(await faultOf(sendRequest(guarded, request(to("::1"))))).toBe("forbidden-address");
    expect(await faultOf(sendRequest(hs, request(to("127.0.0.2"))))).toBe("forbidden-address");
    expect(connections).toBe(0);
  });

  test.each(["2130706433", "127.1", "0x7f.1", "0177.0.0.1"])(
    "connects to none that is written as %s",
    async (host) => {
      expect(await faultOf(sendRequest(guarded, request(to(host))))).toBe("forbidden-address");
    },
  );

  test("follows no redirect to one", async () => {
    behaviour = (_incoming, response) =>
      response.writeHead(302, { location: "https://169.254.169.254/latest/meta-data" }).end();
    expect(await faultOf(sendRequest(hs, request(to("good.test"), { mostRedirects: 3 })))).toBe(
      "forbidden-address",
    );
  });

  test("connects to none when a name that led elsewhere leads there now", async () => {
    const port = remote.port;
    // An address from the range for documentation stands for one of the internet's.
    const open = allowing("203.0.113.0/24");
    writeFileSync(
      hostsFile,
      "203.0.113.1 rebound.test\n127.0.0.1 good.test\n127.0.0.1 other.test\n",
    );
    await sleep(1_100);
    const first = sendRequest(open, request(to("rebound.test", port), { timeoutMs: 300 }));
    expect(await faultOf(first)).not.toBe("forbidden-address");
    writeFileSync(hostsFile, "127.0.0.1 rebound.test\n127.0.0.1 good.test\n127.0.0.1 other.test\n");
    await sleep(1_100);
    const second = sendRequest(open, request(to("rebound.test", port)));
    expect(await faultOf(second)).toBe("forbidden-address");
  });
});

describe("trusts nobody", () => {
  test("whose certificate is for another", async () => {
    expect(await faultOf(sendRequest(hs, request(to("other.test"))))).toBe("untrusted");
    const expected = { ...to("good.test"), certificateName: "other.test" };
    expect(await faultOf(sendRequest(hs, request(expected)))).toBe("untrusted");
  });

  test("for whom no authority that we know vouches", async () => {
    const stranger = await testTlsServer(testAuthority().issue("good.test"), (_request, response) =>
      response.end(),
    );
    expect(await faultOf(sendRequest(hs, request(to("good.test", stranger.port))))).toBe(
      "untrusted",
    );
    await stranger.close();
  });

  test("but the one that is expected, wherever they are", async () => {
    const elsewhere = {
      ...to("other.test"),
      certificateName: "good.test",
      hostHeader: "good.test",
    };
    expect((await sendRequest(hs, request(elsewhere))).status).toBe(200);
  });
});

describe("waits for no answer that", () => {
  test("does not begin", async () => {
    behaviour = () => {};
    expect(await faultOf(sendRequest(hs, request(to("good.test"), { timeoutMs: 200 })))).toBe(
      "timeout",
    );
  });

  test("comes byte by byte", async () => {
    behaviour = (_incoming, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write("x"), 20);
      response.on("close", () => clearInterval(timer));
    };
    const begun = performance.now();
    expect(await faultOf(sendRequest(hs, request(to("good.test"), { timeoutMs: 300 })))).toBe(
      "timeout",
    );
    expect(performance.now() - begun).toBeLessThan(8_000);
  });

  test("does not end within its size, and hangs up", async () => {
    let closed = false;
    behaviour = (_incoming, response) => {
      response.on("close", () => (closed = true));
      const pour = () => {
        while (!response.destroyed && response.write("x".repeat(10_000)));
      };
      response.on("drain", pour);
      pour();
    };
    expect(await faultOf(sendRequest(hs, request(to("good.test"))))).toBe("too-large");
    await expect.poll(() => closed).toBe(true);
  });

  test("the caller gives up", async () => {
    behaviour = () => {};
    const signal = AbortSignal.timeout(50);
    const abort = new AbortController();
    signal.addEventListener("abort", () => abort.abort());
    const given = sendRequest(hs, request(to("good.test"), { signal: abort.signal }));
    expect(await faultOf(given)).toBe("given-up");
  });
});

describe("redirects", () => {
  test("are an answer like others if none are to be followed", async () => {
    behaviour = (_incoming, response) => response.writeHead(302, { location: "/x" }).end();
    expect((await sendRequest(hs, request(to("good.test")))).status).toBe(302);
  });

  test("are followed as often as they may be", async () => {
    const answer =
      (hops: number): RequestListener =>
      (incoming, response) => {
        const hop = Number(incoming.url?.slice(1) || 0);
        if (hop === hops) response.end("there");
        else response.writeHead(307, { location: `/${hop + 1}` }).end();
      };
    behaviour = answer(2);
    const found = await sendRequest(hs, request(to("good.test"), { mostRedirects: 2 }));
    expect(found.body.toString()).toBe("there");
    behaviour = answer(3);
    expect(await faultOf(sendRequest(hs, request(to("good.test"), { mostRedirects: 2 })))).toBe(
      "redirect",
    );
  });

  test("do not lead away from TLS", async () => {
    behaviour = (_incoming, response) =>
      response.writeHead(301, { location: "http://good.test/" }).end();
    expect(await faultOf(sendRequest(hs, request(to("good.test"), { mostRedirects: 2 })))).toBe(
      "redirect",
    );
  });
});

test("says again what a server had not read when it closed a kept connection", async () => {
  let requests = 0;
  behaviour = (incoming, response) => {
    requests++;
    if (requests === 2) incoming.socket.destroy();
    else response.end("there");
  };
  await sendRequest(hs, request(to("good.test")));
  const again = await sendRequest(hs, request(to("good.test")));
  expect(again.body.toString()).toBe("there");
  expect(requests).toBe(3);
});

test("says nothing twice that must not be said twice", async () => {
  let requests = 0;
  behaviour = (incoming) => {
    requests++;
    incoming.socket.destroy();
  };
  const once = sendRequest(hs, request(to("good.test"), { method: "POST", body: "{}" }));
  expect(await faultOf(once)).toBe("broken");
  expect(requests).toBe(1);
});

test("gives a body as it comes", async () => {
  let finish = () => {};
  behaviour = (_incoming, response) => {
    response.write("first");
    finish = () => response.end("last");
  };
  const { body } = await streamRequest(hs, request(to("good.test")));
  const chunks: string[] = [];
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk.toString());
    finish();
  }
  expect(chunks).toEqual(["first", "last"]);
});

test("finds no server where none listens", async () => {
  const gone = await testTlsServer(authority.issue("good.test"), () => {});
  await gone.close();
  expect(await faultOf(sendRequest(hs, request(to("good.test", gone.port))))).toBe("unreachable");
});
