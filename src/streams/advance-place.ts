import type { Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";

/**
 * Moves the place in the streams of what is kept up by a job, and not by a follower: what it has read is stored by whichever
 * process is the quickest.
 *
 * @param name the place's, in `stream_followers`. Never change it.
 * @returns false if another process has been quicker.
 */
export async function advancePlace(
  tx: Tx,
  name: string,
  { from, to }: { readonly from: Position; readonly to: Position },
): Promise<boolean> {
  await tx`insert into stream_followers (name, position) values (${name}, 0) on conflict do nothing`;
  const rows = await tx`
    update stream_followers set position = ${to} where name = ${name} and position = ${from}
    returning name`;
  return rows.length > 0;
}
