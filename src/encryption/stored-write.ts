import type { DeviceUpdate } from "#src/devices/device-updates.ts";
import type { Change } from "#src/streams/stream.ts";

/** How many one-time keys of an algorithm a device has. */
export type KeyCount = {
  readonly deviceKey: number;
  readonly algorithm: string;
  readonly count: number;
};

/** A key that was handed out. */
export type ClaimedKey = {
  readonly deviceKey: number;
  readonly algorithm: string;
  readonly keyId: string;
  readonly json: string;
};

/** The keys that were claimed; what a device has after an upload; whether a remote list is stale after changes. */
export type EncryptionWritten = {
  readonly claimed?: readonly ClaimedKey[];
  readonly counts?: readonly KeyCount[];
  readonly isStale?: boolean;
};

/** What has become of one write, before the change of a device list is told to others. */
export type StoredWrite =
  | {
      readonly result: EncryptionWritten;
      /** Whose device list is another now, if somebody's. */
      readonly listOf?: number;
      /** What other servers are told of that. */
      readonly updated?: Pick<DeviceUpdate, "changed" | "ownKeys">;
      /** Changes besides that of the list. */
      readonly changes: readonly Change[];
    }
  | { readonly error: Error };
