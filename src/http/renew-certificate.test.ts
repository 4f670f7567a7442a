import { once } from "node:events";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, expect, test, vi } from "vitest";
import { createLogger } from "#src/homeserver/log.ts";
import { testAuthority, testTlsServer } from "#src/outbound/testing.ts";
import { testDirectory } from "#src/testing-directory.ts";
import { renewCertificate } from "./renew-certificate.ts";

const directory = testDirectory();
const certFile = join(directory, "cert.pem");
const keyFile = join(directory, "key.pem");
const authority = testAuthority(directory);
const lines: string[] = [];
const log = createLogger({ level: "warn", format: "json" }, { write: (it) => lines.push(it) });

const first = authority.issue("first.test");
const server = await testTlsServer(first, (_request, response) => response.end("here"));
afterAll(async () => await server.close());

/** Has a file say something else, of which nobody reads a half. */
function put(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

/** Whom somebody meets who connects now. */
async function whoAnswers(): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: server.port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

test("a renewed certificate is taken while the server runs; a broken or half-written one is not", async () => {
  put(certFile, first.cert);
  put(keyFile, first.key);
  const current = { cert: Buffer.from(first.cert), key: Buffer.from(first.key) };
  const end = renewCertificate(server.http, { certFile, keyFile }, current, { log, everyMs: 20 });
  expect(await whoAnswers()).toBe("first.test");

  const second = authority.issue("second.test");
  put(certFile, second.cert);
  await expect.poll(() => lines).toHaveLength(1);
  expect(await whoAnswers()).toBe("first.test");
  put(keyFile, second.key);
  await expect.poll(whoAnswers).toBe("second.test");

  put(certFile, "no certificate");
  await expect.poll(() => lines).toHaveLength(2);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(lines).toHaveLength(2);
  expect(await whoAnswers()).toBe("second.test");

  put(certFile, second.cert);
  end();
  put(certFile, first.cert);
  put(keyFile, first.key);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await whoAnswers()).toBe("second.test");
});

test("nothing is taken that was being read when it ended", async () => {
  const [own, next] = [authority.issue("own.test"), authority.issue("next.test")];
  server.http.setSecureContext(own);
  put(certFile, next.cert);
  put(keyFile, next.key);
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const current = { cert: Buffer.from(own.cert), key: Buffer.from(own.key) };
  const end = renewCertificate(server.http, { certFile, keyFile }, current, { log, everyMs: 20 });
  vi.advanceTimersByTime(20);
  end();
  vi.useRealTimers();
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await whoAnswers()).toBe("own.test");
});
