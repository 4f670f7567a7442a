import { makeRooms } from "./create-room.ts";
import { fanOut } from "./fan-out.ts";
import { federatedJoin } from "./federated-join.ts";
import { files } from "./files.ts";
import { growth } from "./growth.ts";
import { healing } from "./healing.ts";
import { idle } from "./idle.ts";
import { inbound } from "./inbound.ts";
import { initialSync } from "./initial-sync.ts";
import { localJoin } from "./local-join.ts";
import { outage } from "./outage.ts";
import { pageBack } from "./page-back.ts";
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
  pageBack,
  search,
  files,
  localJoin,
  makeRooms,
  growth,
  idle,
];
