import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";

/** How often what was seen is written: a device makes many requests, and nobody needs to know of each. */
const WRITE_EVERY_MS = 60_000;

/** More than any client calls itself. */
const MOST_CHARACTERS = 512;

/** From where, and by what, as that calls itself. */
export type SeenFrom = { readonly ip: string; readonly userAgent?: string | undefined };

type Sighting = SeenFrom & { readonly atMs: UnixMs };

const sightingsOf = held((hs) => {
  const sightings = new Map<number, Sighting>();
  const timer = setInterval(() => {
    writeSightings(hs).catch((error: unknown) => {
      if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot note which devices were seen");
    });
  }, WRITE_EVERY_MS);
  timer.unref();
  hs.stopping.addEventListener("abort", () => clearInterval(timer));
  return sightings;
});

/** Notes in memory that a device made a request. */
export function noteSeen(hs: Homeserver, deviceKey: number, { ip, userAgent }: SeenFrom): void {
  sightingsOf(hs).set(deviceKey, { atMs: hs.now(), ip, userAgent });
}

/**
 * Writes which devices were seen since the last time. Comes round by itself, once something was noted. A device about which
 * another process is at the moment is passed over: two that wait for each other would wait for ever.
 */
export async function writeSightings(hs: Homeserver): Promise<void> {
  const sightings = [...sightingsOf(hs)];
  if (sightings.length === 0) return;
  sightingsOf(hs).clear();
  await hs.sql`
    with seen as (
      select * from unnest(
        ${sightings.map(([deviceKey]) => deviceKey)}::bigint[],
        ${sightings.map(([, it]) => it.atMs)}::bigint[], ${sightings.map(([, it]) => it.ip)}::text[],
        ${sightings.map(([, it]) => it.userAgent?.slice(0, MOST_CHARACTERS) ?? "")}::text[]
      ) as seen (device_key, at_ms, ip, agent)
    ), free as (
      select seen.* from seen join devices using (device_key) for no key update of devices skip locked
    )
    update devices set last_seen_ms = free.at_ms, last_seen_ip = nullif(free.ip, ''),
      last_seen_agent = nullif(free.agent, '')
    from free
    where devices.device_key = free.device_key and coalesce(devices.last_seen_ms, 0) < free.at_ms`;
}
