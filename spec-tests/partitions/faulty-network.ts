import { Agent, type IncomingMessage, request as ask, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { type TestAuthority, testTlsServer } from "#src/outbound/testing.ts";
import type { Dice } from "../oracle/dice.ts";

/** How it is to ask one server from another: all well, nothing gets through, or anything may happen. */
export type Weather = "fair" | "foul" | "cut";

/** What can happen to a request in foul weather. */
type Fault =
  | "none"
  | "late"
  | "twice"
  | "again later"
  | "lost"
  | "answer lost"
  | "cut short"
  | "answer cut short";

const FAULTS: readonly (readonly [weight: number, fault: Fault])[] = [
  [8, "none"],
  [5, "late"],
  [3, "twice"],
  [2, "again later"],
  [3, "lost"],
  [3, "answer lost"],
  [2, "cut short"],
  [2, "answer cut short"],
];

/** The longest that something late is kept back. What is asked meanwhile overtakes it. */
const LATEST_MS = 300;
const AGAIN_LATER_MS = 700;
/** How long a request may hang that does not get through. */
const HANG_MS = 400;

type Asked = {
  readonly method: string;
  readonly path: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Buffer;
};
type Told = {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Buffer;
};

/**
 * The way from each server to each other one. Servers are known by the addresses of this network, which ends their TLS: so
 * it knows who asks whom, and can do to a request whatever a network can.
 */
export class FaultyNetwork {
  /** How the way is from one server to another. */
  weather: (from: string, to: string) => Weather = () => "fair";
  dice: Dice;
  readonly #authority: TestAuthority;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #urls = new Map<string, string>();
  /** The content hashes of the PDUs of transactions that were answered, by whom they were sent to. */
  readonly #delivered = new Map<string, Set<string>>();
  readonly #closes: (() => Promise<void>)[] = [];

  constructor(authority: TestAuthority, dice: Dice) {
    this.#authority = authority;
    this.dice = dice;
  }

  /** Makes a way to a server that has no address yet. @returns the name that leads to it. */
  async open(): Promise<string> {
    let name = "";
    const server = await testTlsServer(this.#authority.issue("127.0.0.1"), (asked, answer) => {
      this.#pass(asked, answer, name).catch(() => asked.socket.destroy());
    });
    this.#closes.push(async () => await server.close());
    name = `127.0.0.1:${server.port}`;
    return name;
  }

  /** Says where a server listens. */
  lead(name: string, url: string): void {
    this.#urls.set(name, url);
  }

  /** Whether a PDU was in a transaction to a server that was answered with 200. */
  hasDelivered(to: string, hash: string): boolean {
    return this.#delivered.get(to)?.has(hash) === true;
  }

  async close(): Promise<void> {
    for (const close of this.#closes) await close();
    this.#agent.destroy();
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse, to: string): Promise<void> {
    const { method = "GET", url: path = "/", headers } = incoming;
    const from = /origin="?([^",]+)/.exec(headers.authorization ?? "")?.[1];
    const asked = { method, path, headers, body: await buffer(incoming) };
    // Who asks for keys does not say who they are.
    const weather = () => (from === undefined ? "fair" : this.weather(from, to));
    const lose = () => void incoming.socket.destroy();
    if (weather() === "cut") {
      if (this.dice.chance(50)) await sleep(this.dice.below(HANG_MS));
      return lose();
    }
    const fault = weather() === "foul" ? this.dice.weighted(FAULTS) : "none";
    const told = await this.#ask(to, asked, fault);
    if (told === undefined || fault === "answer lost" || weather() === "cut") return lose();
    outgoing.writeHead(told.status, told.headers);
    if (fault === "answer cut short") {
      outgoing.write(told.body.subarray(0, told.body.length / 2), lose);
      return;
    }
    this.#note(to, asked, told);
    outgoing.end(told.body);
  }

  /** Asks as it can be done with a fault. @returns the answer, if there is any */
  async #ask(to: string, asked: Asked, fault: Fault): Promise<Told | undefined> {
    const forward = async (how?: { isCutShort: boolean }) => await this.#forward(to, asked, how);
    const again = async (afterMs: number) => {
      await sleep(afterMs);
      await forward().catch(() => undefined);
    };
    switch (fault) {
      case "lost":
        return undefined;
      case "cut short":
        return await forward({ isCutShort: true }).then(
          () => undefined,
          () => undefined,
        );
      case "late":
        await sleep(this.dice.below(LATEST_MS));
        break;
      case "twice":
        void again(0);
        break;
      case "again later":
        void again(this.dice.below(AGAIN_LATER_MS));
        break;
      case "none":
      case "answer lost":
      case "answer cut short":
        break;
    }
    return await forward();
  }

  async #forward(
    to: string,
    { method, path, headers, body }: Asked,
    { isCutShort = false } = {},
  ): Promise<Told> {
    const url = this.#urls.get(to);
    if (url === undefined) throw new Error(`${to} is nowhere`);
    return await new Promise((resolve, reject) => {
      const agent = isCutShort ? new Agent() : this.#agent;
      // The body is sent whole, however it came.
      const { "transfer-encoding": _, ...rest } = headers;
      const length = body.length > 0 || method !== "GET" ? { "content-length": body.length } : {};
      const sent = ask(`${url}${path}`, { method, agent, headers: { ...rest, ...length } });
      sent.on("error", reject);
      sent.on("response", (answer) => {
        buffer(answer).then((whole) => {
          const { "transfer-encoding": __, ...kept } = answer.headers;
          const size = { "content-length": String(whole.length) };
          resolve({ status: answer.statusCode ?? 502, headers: { ...kept, ...size }, body: whole });
        }, reject);
      });
      if (isCutShort) sent.write(body.subarray(0, body.length / 2), () => sent.destroy());
      else sent.end(body);
    });
  }

  #note(to: string, { path, body }: Asked, { status }: Told): void {
    if (status !== 200 || !path.startsWith("/_matrix/federation/v1/send/")) return;
    const delivered = this.#delivered.get(to) ?? new Set();
    this.#delivered.set(to, delivered);
    for (const pdu of JSON.parse(body.toString()).pdus ?? []) delivered.add(pdu.hashes?.sha256);
  }
}
