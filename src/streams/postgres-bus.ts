import type { Logger } from "pino";
import type { Bus } from "#src/homeserver/bus.ts";
import { connect } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import { CHANNEL } from "./presence.ts";

/**
 * A bus on PostgreSQL's `NOTIFY`, on a connection of its own. Should the connection be lost it is
 * made anew, and the listeners are told to look for what they missed.
 */
export async function openPostgresBus(url: string, log: Logger): Promise<Bus> {
  const sql = connect(url, 1);
  const listeners: ((position: Position) => void)[] = [];
  await sql.listen(
    CHANNEL,
    (payload) => {
      for (const listener of listeners) listener(Number(payload));
    },
    () => log.debug("listening for news of the streams"),
  );
  return {
    onAdvance: (listener) => listeners.push(listener),
    close: async () => await sql.end({ timeout: 1 }),
  };
}
