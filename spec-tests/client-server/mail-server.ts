import { once } from "node:events";
import { createServer, type Socket } from "node:net";

/** An e-mail as the server has taken it: to whom, and what it says, with nothing encoded. */
export type TakenMail = { readonly to: string; readonly text: string };

export type MailServer = {
  readonly url: string;
  readonly taken: readonly TakenMail[];
  close(): Promise<void>;
};

/** A server on this machine that takes every e-mail, but for those to addresses that begin with `nobody`. */
export async function mailServer(): Promise<MailServer> {
  const taken: TakenMail[] = [];
  const server = createServer((socket) => converse(socket, taken));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return {
    url: `smtp://127.0.0.1:${port}`,
    taken,
    async close() {
      server.close();
      await once(server, "close");
    },
  };
}

/** The other side of SMTP, as far as it is needed. */
function converse(socket: Socket, taken: TakenMail[]): void {
  let unread = "";
  let to = "";
  let body: string[] | undefined;
  const say = (line: string) => socket.write(`${line}\r\n`);
  const heed = (line: string) => {
    const verb = line.slice(0, 4).toUpperCase();
    if (body && line === ".") {
      taken.push({ to, text: decoded(body.join("\n")) });
      body = undefined;
      say("250 taken");
    } else if (body) body.push(line.replace(/^\./, ""));
    else if (verb === "DATA") {
      body = [];
      say("354 go on");
    } else if (verb === "RCPT") {
      to = /<(.*)>/.exec(line)?.[1] ?? "";
      say(to.startsWith("nobody") ? "550 nobody there" : "250 well");
    } else if (verb === "QUIT") socket.end("221 farewell\r\n");
    else say("250 well");
  };
  socket.on("error", () => socket.destroy());
  socket.on("data", (piece) => {
    unread += piece.toString();
    for (let end = unread.indexOf("\r\n"); end >= 0; end = unread.indexOf("\r\n")) {
      const line = unread.slice(0, end);
      unread = unread.slice(end + 2);
      heed(line);
    }
  });
  say("220 here");
}

/** Without quoted-printable's marks. */
function decoded(text: string): string {
  const bytes = text
    .replaceAll("=\n", "")
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString();
}
