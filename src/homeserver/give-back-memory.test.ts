import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

const LOOKS = `
import { openSync } from "node:fs";
import { giveBackMemoryAtRest } from "#src/homeserver/give-back-memory.ts";
giveBackMemoryAtRest(5);
try {
  for (;;) openSync("/dev/null", "r");
} catch (error) {
  setTimeout(() => console.log(error.code), 100);
}
`;

test.skipIf(process.platform === "win32")("a process with too many open files goes on", () => {
  const command = 'ulimit -n 64 && exec "$0" --input-type=module --eval "$1"';
  const { stdout, stderr } = spawnSync("/bin/sh", ["-c", command, process.execPath, LOOKS], {
    encoding: "utf8",
  });
  expect(stdout, stderr).toBe("EMFILE\n");
});
