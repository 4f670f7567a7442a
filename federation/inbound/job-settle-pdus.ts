import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import { workOnRooms } from "#src/jobs/work-on-rooms.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { type Room, roomsByKeys } from "#src/rooms/find-room.ts";
import { isResident, serversInRoom } from "#src/rooms/residents.ts";
import {
  claimUnsettled,
  forgetUnsettled,
  roomsWithUnsettled,
  type Unsettled,
} from "./queries-unsettled.ts";
import { receivePdus } from "./receive-pdu.ts";

const EVENTS_AT_A_TIME = 50;

/** For how long one room is worked on at a time: whoever is asked what it lacks may take theirs. */
const LONGEST_MS = 5 * 60_000;

/** What nobody could say anything of for so long does not exist. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;

/** For how long it is waited for a policy server that cannot be asked. Who comes to see it later has no use for it. */
const POLICY_WAIT_MS = 60 * 60_000;

/** Tries again to take in what could be neither stored nor refused when it came. */
export const settlePdus: Job = {
  name: "settle-received-pdus",
  everyMs: 10_000,
  async run(hs, signal) {
    await workOnRooms(signal, {
      due: async (most) => await roomsWithUnsettled(hs, most),
      async work(roomKey) {
        const room = (await roomsByKeys(hs, [roomKey])).get(roomKey);
        const until = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]);
        if (room) await settleRoom(hs, room, until);
      },
    });
    return "done";
  },
};

async function settleRoom(hs: Homeserver, room: Room, until: AbortSignal): Promise<void> {
  const unsettled = await claimUnsettled(hs, room.roomKey, EVENTS_AT_A_TIME);
  if (!(await isResident(hs.sql, room.roomKey))) {
    await forgetUnsettled(hs, room.roomKey, unsettled);
    return;
  }
  const others = await serversInRoom(hs, room.roomKey);
  for (const [origin, its] of Map.groupBy(unsettled, (it) => it.origin)) {
    try {
      await settle(hs, room, its, { origin, others, until });
    } catch (error) {
      if (until.aborted) return;
      hs.log.error({ err: error, origin, roomId: room.roomId }, "events still make us fail");
    }
  }
}

async function settle(
  hs: Homeserver,
  room: Room,
  its: readonly Unsettled[],
  from: {
    readonly origin: ServerName;
    readonly others: readonly ServerName[];
    readonly until: AbortSignal;
  },
): Promise<void> {
  const pdus = its.map((it) => parseWireJson(it.json));
  const isOverdue = (it: Unsettled) => it.receivedMs < hs.now() - POLICY_WAIT_MS;
  const overdue = new Set(its.filter(isOverdue).map((it) => it.eventId));
  const options = { ...from, overdue, sparesAbsent: true } as const;
  const { receipts, passed, dropped } = await receivePdus(hs, room, pdus, options);
  const left = new Set<EventId>(
    passed
      .map((it) => it.event.event_id)
      .filter((id) => (receipts.get(id)?.outcome ?? "unverifiable") === "unverifiable"),
  );
  // A key that cannot be had now may be another time.
  for (const { undecided, eventId } of dropped) if (undecided && eventId) left.add(eventId);
  const tooOld = its.filter((it) => left.has(it.eventId) && it.receivedMs < hs.now() - KEPT_MS);
  for (const { eventId, origin } of tooOld) {
    hs.log.warn({ origin, roomId: room.roomId, eventId }, "gave up an event that nobody can judge");
  }
  const done = its.filter((it) => !left.has(it.eventId));
  await forgetUnsettled(hs, room.roomKey, [...done, ...tooOld]);
}
