import type { ToldEvent } from "./walk-room.ts";

/** An answer of `/sync`, as far as it is looked at. */
export type SyncAnswer = {
  readonly next_batch: string;
  readonly rooms?: { readonly join?: Readonly<Record<string, JoinedRoom>> };
  readonly to_device?: { readonly events?: readonly Direct[] };
};

type JoinedRoom = {
  /** Absent where only something beside the events has changed. */
  readonly timeline?: Timeline;
  readonly state?: { readonly events: readonly ToldEvent[] };
};

export type Timeline = {
  readonly events: readonly ToldEvent[];
  readonly limited: boolean;
  readonly prev_batch: string;
};

type Direct = { readonly sender: string; readonly content: { readonly n: number } };
