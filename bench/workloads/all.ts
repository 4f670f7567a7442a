import { makeRooms } from "./create-room.ts";
import { ephemeral } from "./ephemeral.ts";
import { fanOut } from "./fan-out.ts";
import { federatedJoin } from "./federated-join.ts";
import { files } from "./files.ts";
import { growth } from "./growth.ts";
import { healing } from "./healing.ts";
import { idle } from "./idle.ts";
import { inbound } from "./inbound.ts";
import { initialSync } from "./initial-sync.ts";
import { localJoin } from "./local-join.ts";
import { logIns } from "./log-ins.ts";
import { outage } from "./outage.ts";
import { pageBack } from "./page-back.ts";
import { roomKeys } from "./room-keys.ts";
import { search } from "./search.ts";
import { sendManyRooms } from "./send-many-rooms.ts";
import { sendOneRoom } from "./send-one-room.ts";
import { sendToSyncLatency } from "./send-to-sync-latency.ts";
import { slidingWindow } from "./sliding-window.ts";
import type { Workload } from "./workload.ts";

/** Everything that a bench run measures, in the order in which it does. */
export const WORKLOADS: readonly Workload[] = [
  sendOneRoom,
  sendManyRooms,
  sendToSyncLatency,
  fanOut,
  initialSync,
  slidingWindow,
  federatedJoin,
  healing,
  inbound,
  outage,
  logIns,
  pageBack,
  search,
  files,
  roomKeys,
  ephemeral,
  localJoin,
  makeRooms,
  growth,
  idle,
];
