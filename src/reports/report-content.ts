import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, RoomId, UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { membershipOf } from "#src/rooms/memberships.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { readEvent } from "#src/timeline/read-context.ts";
import { viewOfRoom } from "#src/timeline/view-of-room.ts";
import { insertReport, type Report } from "./queries-reports.ts";

/**
 * Reports an event in a room that the reporter is in.
 *
 * @throws MatrixError M_NOT_FOUND of an event that they cannot see there.
 * @spec client-server-api#post_matrixclientv3roomsroomidreporteventid
 */
export async function reportEvent(
  hs: Homeserver,
  reporter: Requester,
  subject: { readonly roomId: RoomId; readonly eventId: EventId; readonly reason?: string },
): Promise<void> {
  const { roomId, eventId, reason } = subject;
  const room = await findRoom(hs, roomId);
  const membership = room && (await membershipOf(hs, reporter.userKey, room.roomKey));
  if (membership !== "join") {
    throw new MatrixError("M_NOT_FOUND", "No such event, or you are not in its room");
  }
  await readEvent(hs, reporter, await viewOfRoom(hs, reporter, roomId), eventId);
  await report(hs, reporter, { roomId, eventId, reason });
}

/**
 * Reports a room, be the reporter in it or not.
 *
 * @throws MatrixError M_NOT_FOUND of a room that this server has never heard of.
 * @spec client-server-api#post_matrixclientv3roomsroomidreport
 */
export async function reportRoom(
  hs: Homeserver,
  reporter: Requester,
  { roomId, reason }: { readonly roomId: RoomId; readonly reason: string },
): Promise<void> {
  if (!(await findRoom(hs, roomId))) throw new MatrixError("M_NOT_FOUND", "No such room");
  await report(hs, reporter, { roomId, reason });
}

/**
 * Reports a user, be the reporter in a room with them or not.
 *
 * @throws MatrixError M_NOT_FOUND of a user of whom this server has never heard.
 * @spec client-server-api#post_matrixclientv3usersuseridreport
 */
export async function reportUser(
  hs: Homeserver,
  reporter: Requester,
  { userId, reason }: { readonly userId: UserId; readonly reason: string },
): Promise<void> {
  if (!(await findUserKeys(hs, [userId])).has(userId)) {
    throw new MatrixError("M_NOT_FOUND", "No such user");
  }
  await report(hs, reporter, { userId, reason });
}

async function report(
  hs: Homeserver,
  { userId, userKey }: Requester,
  subject: Omit<Report, "reporterKey" | "receivedMs">,
): Promise<void> {
  // What the database cannot hold nobody could be shown.
  const reason = subject.reason?.replaceAll("\0", "");
  await insertReport(hs.sql, { ...subject, reason, reporterKey: userKey, receivedMs: hs.now() });
  const { reason: _, ...about } = subject;
  hs.log.warn({ ...about, reporter: userId }, "something was reported; the table reports says why");
}
