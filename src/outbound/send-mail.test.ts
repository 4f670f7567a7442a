import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { testHomeservers } from "#src/testing.ts";
import { sendMail } from "./send-mail.ts";

/** A server without TLS that takes every e-mail, and what it has been told. */
async function plainServer() {
  const verbs: string[] = [];
  const server = createServer((socket) => {
    let isBody = false;
    const heed = (line: string) => {
      if (isBody && line !== ".") return;
      const verb = isBody ? "." : line.slice(0, 4).toUpperCase();
      isBody = verb === "DATA";
      verbs.push(verb);
      if (verb === "EHLO") socket.write("250-here\r\n250 AUTH PLAIN\r\n");
      else if (verb === "STAR") socket.write("502 none\r\n");
      else if (verb === "AUTH") socket.write("235 well\r\n");
      else socket.write(isBody ? "354 go on\r\n" : "250 well\r\n");
    };
    let unread = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (piece) => {
      const lines = (unread + piece.toString()).split("\r\n");
      unread = lines.pop() ?? "";
      for (const line of lines) heed(line);
    });
    socket.write("220 here\r\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { verbs, port: (server.address() as AddressInfo).port, close: () => server.close() };
}

const mail = { to: "alice@example.org", subject: "News", text: "News", html: "<p>News</p>" };

test.each([
  ["user:secret@", {}, false],
  ["user:secret@", { ARCHIPEL_MAIL_PLAIN_SMTP: "true" }, true],
  ["", {}, true],
])("whether a server without TLS is sent e-mails (%j, %j): %s", async (user, more, isSent) => {
  const server = await plainServer();
  const smtpUrl = `smtp://${user}127.0.0.1:${server.port}`;
  const house = await testHomeservers(1, { ARCHIPEL_MAIL_SMTP_URL: smtpUrl, ...more });
  try {
    const [{ status }] = await Promise.allSettled([sendMail(house.hs, mail)]);
    expect(status).toBe(isSent ? "fulfilled" : "rejected");
    expect(server.verbs.includes("AUTH")).toBe(isSent && user !== "");
    expect(server.verbs.includes("DATA")).toBe(isSent);
  } finally {
    await house.close();
    server.close();
  }
});
