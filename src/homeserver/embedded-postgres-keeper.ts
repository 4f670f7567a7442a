import type { ChildProcess } from "node:child_process";
import { dirname } from "node:path";
import { type PostgresUser, spawnAs } from "./embedded-postgres-user.ts";

/**
 * Runs a program and ends it when descriptor 3 closes, which the kernel does for us however we end. Its input is
 * ours, by way of descriptor 4: a shell gives none to a program in the background.
 */
const KEEPER = `
trap '' PIPE INT TERM HUP
exec 4<&0
"$@" <&4 3<&- 4<&- &
server=$!
(
  while read -r line; do :; done
  tries=0
  while kill -INT "$server"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 30 ]; then kill -QUIT "$server"; fi
    sleep 1
  done
) <&3 4<&- >/dev/null 2>&1 &
watcher=$!
exec 3<&- 4<&-
wait "$server"
status=$?
kill -KILL "$watcher" 2>/dev/null
exit "$status"
`;

/**
 * Has glibc keep up to a megabyte that a statement has freed for the next one. By default it gives all but 128 kB back to
 * the kernel, which then puts in some thirty pages anew for each message that is written: a third of what PostgreSQL does
 * for it in a virtual machine, where each page costs 5 µs.
 */
const KEEP_FREED_MEMORY = {
  MALLOC_TRIM_THRESHOLD_: "1048576",
  MALLOC_MMAP_THRESHOLD_: "1048576",
  MALLOC_TOP_PAD_: "131072",
} as const;

/**
 * Starts one of PostgreSQL's programs so that it cannot outlive us. It runs in a session of its own: a Ctrl-C is
 * for us, and we end it when nobody needs it any more.
 *
 * @param reach the directories it works on
 * @returns the keeper: its exit is the program's, and to close its descriptor 3 is to end both
 */
export function spawnKept(
  user: PostgresUser | undefined,
  command: readonly [string, ...string[]],
  reach: readonly string[],
): ChildProcess {
  const child = spawnAs(user, ["/bin/sh", "-c", KEEPER, "archipel-postgres", ...command], {
    reach: [dirname(command[0]), ...reach],
    cwd: "/",
    env: {
      ...KEEP_FREED_MEMORY,
      PATH: process.env["PATH"] ?? "/usr/bin:/bin",
      LC_ALL: "C",
    },
    stdio: ["pipe", "pipe", "pipe", "pipe"],
    detached: true,
  });
  // One that has been killed does not listen any more: its exit says so as well.
  child.stdin?.on("error", () => {});
  return child;
}
