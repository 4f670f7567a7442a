import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below those that systems give to whoever asks for any port, or connects to somewhere: of these, one could be gone by the
 * time that a server listens there, or comes back to it. Browsers connect to all of them.
 */
const FROM_PORT = 11_000;
const UP_TO_PORT = 32_768;

const MOST_TRIES = 100;

/**
 * A port that nobody listens at, for a server that has to know it before it starts.
 *
 * @throws Error if none was found.
 */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const port = randomInt(FROM_PORT, UP_TO_PORT);
    if (await isFree(port, host)) return port;
  }
  throw new Error(`No port of ${host} is free`);
}

async function isFree(port: number, host: string): Promise<boolean> {
  const probe = createServer().listen(port, host);
  try {
    await once(probe, "listening");
  } catch {
    return false;
  }
  probe.close();
  await once(probe, "close");
  return true;
}
