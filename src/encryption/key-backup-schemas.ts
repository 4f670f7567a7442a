import { z } from "zod";
import { JsonObject } from "#src/kit/json-object.ts";

/** @spec client-server-api#server-side-key-backups */
export const BackupVersion = z.object({
  algorithm: z.string().min(1).max(255),
  auth_data: JsonObject,
});
export type BackupVersion = z.infer<typeof BackupVersion>;

export const BackupUpdate = BackupVersion.extend({ version: z.string().optional() });
export type BackupUpdate = z.infer<typeof BackupUpdate>;

/** The encrypted keys of one session, and what decides whether they are better than others. */
export const BackedUpSession = z.object({
  first_message_index: z.number().int().min(0),
  forwarded_count: z.number().int().min(0),
  is_verified: z.boolean(),
  session_data: JsonObject,
});
export type BackedUpSession = z.infer<typeof BackedUpSession>;

export const BackedUpRoom = z.object({ sessions: z.record(z.string(), BackedUpSession) });
export type BackedUpRoom = z.infer<typeof BackedUpRoom>;

export const BackedUpRooms = z.object({ rooms: z.record(z.string(), BackedUpRoom) });
export type BackedUpRooms = z.infer<typeof BackedUpRooms>;
