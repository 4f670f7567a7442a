import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** An answer. Its body is bytes: most are only looked through, not parsed. */
export type HttpAnswer = { readonly status: number; readonly body: Buffer };

/** Where a server listens for plain HTTP. */
export type HttpTarget = { readonly host: string; readonly port: number };

/** How long an answer may take: more than any long poll. */
const ANSWER_TIMEOUT_MS = 180_000;

const HEAD_END = Buffer.from("\r\n\r\n");
const NOTHING: Buffer = Buffer.alloc(0);

type Waiting = { resolve(answer: HttpAnswer): void; reject(error: Error): void };

/**
 * One kept-alive HTTP/1.1 connection with one request at a time: no pool, no header objects and no streams, so that
 * the load costs a small part of what it measures.
 */
export class HttpConnection {
  bytesRead = 0;
  bytesWritten = 0;
  readonly #target: HttpTarget;
  #socket: Socket | undefined;
  #waiting: Waiting | undefined;
  #received: Buffer[] = [];
  /** How many bytes the answer has that is coming in; 0 while that is not known. */
  #expected = 0;
  #answered = 0;

  constructor(target: HttpTarget) {
    this.#target = target;
  }

  /**
   * Sends a request and waits for its answer. A kept connection may end just when it is used again: then a request
   * that can be repeated is.
   *
   * @param request head and body, as on the wire
   * @throws Error when the connection ends before the answer, or there is none in three minutes
   */
  async exchange(request: string | Uint8Array, repeatable: boolean): Promise<HttpAnswer> {
    const reused = this.#socket !== undefined && this.#answered > 0;
    try {
      return await this.#exchangeOnce(request);
    } catch (error) {
      if (!reused || !repeatable || this.#received.length > 0) throw error;
      this.close();
      return await this.#exchangeOnce(request);
    }
  }

  /** Ends the connection and whatever waits on it. */
  close(): void {
    this.#socket?.destroy();
    this.#fail(new Error("The connection was closed."));
  }

  async #exchangeOnce(request: string | Uint8Array): Promise<HttpAnswer> {
    const socket = this.#socket ?? (await this.#open());
    return await new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.bytesWritten += Buffer.byteLength(request);
      socket.write(request);
    });
  }

  async #open(): Promise<Socket> {
    const socket = connect({ ...this.#target, noDelay: true });
    await once(socket, "connect");
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => {
      if (this.#waiting !== undefined) socket.destroy(new Error("There was no answer in time."));
    });
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => {
      if (this.#socket === socket) this.#fail(new Error("The server closed the connection."));
    });
    this.#socket = socket;
    this.#received = [];
    this.#expected = 0;
    this.#answered = 0;
    return socket;
  }

  #take(chunk: Buffer): void {
    this.bytesRead += chunk.length;
    this.#received.push(chunk);
    // Joined again and again, a large answer would cost the square of its size.
    if (this.#expected > 0 && sizeOf(this.#received) < this.#expected) return;
    const bytes = this.#received.length === 1 ? chunk : Buffer.concat(this.#received);
    const answer = readAnswer(bytes);
    if (answer === undefined) {
      this.#received = [bytes];
      this.#expected = expectedSize(bytes);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#received = [];
    this.#expected = 0;
    this.#answered += 1;
    if (answer.closes) {
      this.#socket?.destroy();
      this.#socket = undefined;
    }
    waiting?.resolve(answer);
  }

  #fail(error: Error): void {
    this.#socket = undefined;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }
}

/** Reads an answer, or gives `undefined` while there is not all of it. */
export function readAnswer(bytes: Buffer): (HttpAnswer & { readonly closes: boolean }) | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = bytes.toString("latin1", 0, headEnd).toLowerCase();
  const status = Number(head.slice(9, 12));
  const start = headEnd + HEAD_END.length;
  const closes = head.includes("\r\nconnection: close");
  const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
  if (length !== undefined) {
    const end = start + Number(length);
    return bytes.length < end ? undefined : { status, body: bytes.subarray(start, end), closes };
  }
  if (!head.includes("\r\ntransfer-encoding: chunked")) return { status, body: NOTHING, closes };
  const body = joinChunks(bytes, start);
  return body === undefined ? undefined : { status, body, closes };
}

/** The size of the whole answer, if its head is there and says so; else 0. */
function expectedSize(bytes: Buffer): number {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return 0;
  const head = bytes.toString("latin1", 0, headEnd);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  return length === undefined ? 0 : headEnd + HEAD_END.length + Number(length);
}

function sizeOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function joinChunks(bytes: Buffer, start: number): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let at = start; ;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    const from = lineEnd + 2;
    if (bytes.length < from + size + 2) return undefined;
    if (size === 0) return Buffer.concat(parts);
    parts.push(bytes.subarray(from, from + size));
    at = from + size + 2;
  }
}
