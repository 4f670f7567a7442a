import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { KeyLookup } from "#src/homeserver/remotes.ts";
import type { Room } from "../find-room.ts";
import { checkPdus, type CheckSetting } from "../received/check-pdus.ts";
import type { ReceivedEvent } from "../received/received-event.ts";

/** Those of some PDUs that pass the checks 1 to 3 and are of the room. */
export async function checkedOfRoom(
  hs: Homeserver,
  room: Room,
  pdus: readonly unknown[],
  { keys, ...setting }: { readonly keys: KeyLookup } & Pick<CheckSetting, "isHistory">,
): Promise<ReceivedEvent[]> {
  const all = await checkPdus(pdus, { ...setting, rules: room.rules, keys, now: hs.now() });
  return all
    .flatMap((it) => (it.ok ? [it.received] : []))
    .filter((it) => it.event.room_id === room.roomId);
}
