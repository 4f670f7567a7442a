import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { present } from "#src/kit/testing.ts";
import { createLogger, jsonLines } from "./log.ts";
import { requestContext } from "./request-context.ts";

function capture() {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  return { lines, log: createLogger({ level: "debug", format: "json" }, { write }) };
}

test("a line made while a request is answered carries the request's ID", () => {
  const { lines, log } = capture();
  requestContext.run({ requestId: "r-1", operation: "sendMessage" }, () => log.info("done"));
  log.info("after");
  expect(JSON.parse(present(lines[0]))).toMatchObject({
    requestId: "r-1",
    operation: "sendMessage",
  });
  expect(lines[1]).not.toContain("requestId");
});

test("tokens and message bodies do not reach the log, wherever they are put", () => {
  const { lines, log } = capture();
  log.info({ access_token: "SECRET", event: { content: { body: "SECRET" } } }, "one");
  log.info({ headers: { authorization: "Bearer SECRET" }, body: "SECRET" }, "two");
  expect(lines).toHaveLength(2);
  expect(lines.join("")).not.toContain("SECRET");
});

test("an error is logged with its stack and causes, without the fields a database puts on it", () => {
  const { lines, log } = capture();
  const cause = Object.assign(new Error("duplicate key"), {
    code: "23505",
    detail: "Key (body)=(SECRET)",
    parameters: ["SECRET"],
  });
  log.error({ err: new Error("could not write", { cause }) }, "failed");
  const { err } = JSON.parse(present(lines[0]));
  expect(err).toMatchObject({ message: "could not write", cause: { code: "23505" } });
  expect(err.stack).toContain("log.test.ts");
  expect(lines[0]).not.toContain("SECRET");
});

test.skipIf(!existsSync("/dev/full"))("a full disk keeps nobody from what they do", () => {
  const full = openSync("/dev/full", "w");
  const log = createLogger({ level: "debug", format: "json" }, jsonLines(full));
  try {
    for (let n = 0; n < 20; n++) expect(() => log.info("x".repeat(100_000))).not.toThrow();
  } finally {
    closeSync(full);
  }
});

const MANY_LINES = `
import { createLogger } from "#src/homeserver/log.ts";
const log = createLogger({ level: "info", format: "json" });
for (let n = 0; n < 30; n++) log.info({ n }, "x".repeat(10_000));
process.send("said");
process.once("message", () => {
  log.info("read again");
  process.disconnect();
});
`;

// Elsewhere a pipe cannot be opened anew.
test.skipIf(process.platform !== "linux")(
  "a full pipe keeps nobody from what they do",
  async () => {
    // Through a shell: what Node would make are sockets.
    const command = 'exec 4<&0; "$0" --input-type=module --eval "$1" | (read -r _ <&4; cat)';
    const child = spawn("/bin/sh", ["-c", command, process.execPath, MANY_LINES], {
      stdio: ["pipe", "pipe", "inherit", "ipc"],
    });
    await once(child, "message");
    const said = text(present(child.stdout));
    present(child.stdin).write("go on\n");
    await once(present(child.stdout), "data");
    child.send("read again");
    const lines = (await said).trim().split("\n");
    expect(lines).toHaveLength(31);
    expect(lines.at(-1)).toContain("read again");
  },
);
