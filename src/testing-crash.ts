import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Lane } from "#src/homeserver/lane.ts";
import { isTemplate } from "#src/homeserver/one-statement.ts";
import { refusedStatement } from "#src/homeserver/resilient-sql.ts";

/**
 * Does something at a homeserver again and again, whose process is killed on the way: each time one statement or transaction
 * later, until it is not killed any more.
 *
 * @param act what is done, and throws if it is not: then it was killed.
 * @param check requires what must hold whenever it was killed, as others see it; and in the end.
 */
export async function killedAnywhere(
  hs: Homeserver,
  act: (round: number) => Promise<unknown>,
  check: (round: number) => Promise<void>,
): Promise<void> {
  let wasKilled = true;
  for (let round = 0; wasKilled; round++) {
    wasKilled = await killedAfter(hs, round, async () => await act(round));
    await check(round);
  }
}

/** @returns whether it needed more than so many steps. */
async function killedAfter(
  hs: Homeserver,
  steps: number,
  act: () => Promise<unknown>,
): Promise<boolean> {
  const { sql, lane } = hs;
  let left = steps;
  const isDead = () => left-- <= 0;
  const unlessDead = async <T>(does: () => Promise<T>): Promise<T> =>
    await (isDead() ? refusedStatement("killed") : does());
  const dyingLane: Lane = {
    transaction: async (work) => await unlessDead(async () => await lane.transaction(work)),
    statement: async (work) => await unlessDead(async () => await lane.statement(work)),
    end: async () => await lane.end(),
  };
  const begin = async (work: (tx: Tx) => Promise<unknown>) =>
    await unlessDead(async () => await sql.begin(work));
  const dyingSql = new Proxy(sql, {
    apply: (target, _this, args: Parameters<typeof sql>) =>
      isTemplate(args[0]) && isDead() ? refusedStatement("killed") : target(...args),
    get: (target, name) => (name === "begin" ? begin : target[name as never]),
  });
  Object.assign(hs, { sql: dyingSql, lane: dyingLane });
  try {
    const [outcome] = await Promise.allSettled([act()]);
    return outcome.status === "rejected";
  } finally {
    Object.assign(hs, { sql, lane });
  }
}
