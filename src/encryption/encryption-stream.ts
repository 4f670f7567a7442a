import {
  announceDeviceLists,
  type DeviceListChange,
  deviceListChanges,
} from "#src/devices/device-lists.ts";
import { type DeviceUpdate, recordDeviceUpdates } from "#src/devices/device-updates.ts";
import type { Outcome, Placed, Stream } from "#src/streams/stream.ts";
import {
  type Dehydrated,
  type DehydrationWrite,
  makeDehydrated,
  storeDehydrations,
} from "./dehydrated/store-dehydrations.ts";
import { supplyChangesBetween } from "./key-supply.ts";
import { usersSignedBetween } from "./queries-cross-signing.ts";
import {
  type KnownLists,
  lookForRemoteLists,
  type RemoteListWrite,
  storeRemoteLists,
} from "./remote/store-remote-lists.ts";
import { type ClaimWrite, storeClaims } from "./store-claims.ts";
import {
  type CrossSigningWrite,
  lookForCrossSigning,
  storeCrossSigning,
} from "./store-cross-signing.ts";
import { signedUserChange, type SignaturesWrite, storeSignatures } from "./store-signatures.ts";
import { lookForUploads, storeUploads, type UploadWrite } from "./store-uploads.ts";
import type { EncryptionWritten } from "./stored-write.ts";

export type EncryptionWrite =
  | UploadWrite
  | DehydrationWrite
  | ClaimWrite
  | CrossSigningWrite
  | SignaturesWrite
  | RemoteListWrite;

type Looked = readonly [
  Awaited<ReturnType<typeof lookForUploads>>,
  Awaited<ReturnType<typeof lookForCrossSigning>>,
  KnownLists,
  Dehydrated,
];

/**
 * All that clients publish of their keys and take of others', and what other servers tell of those of
 * their users. Its changes go by two names: those of
 * device lists, by which others learn that keys are new, and those of a device's supply of keys.
 */
export const encryptionStream: Stream<EncryptionWrite, EncryptionWritten> = {
  name: "encryption",

  async look(_hs, lane, writes): Promise<Looked> {
    const dehydrations = writes.filter(isDehydration);
    const making = makeDehydrated(lane, dehydrations);
    const lookingForUploads = async () => {
      const made = dehydrations.length > 0 ? [...(await making).values()] : [];
      return await lookForUploads(lane, [
        ...writes.filter(isUpload),
        ...made.map((it) => it.upload),
      ]);
    };
    return await Promise.all([
      lookingForUploads(),
      lookForCrossSigning(lane, writes.filter(isCrossSigning)),
      lookForRemoteLists(lane, writes.filter(isRemoteList)),
      making,
    ]);
  },

  async store(hs, lane, placed, looked) {
    const [forUploads, forCrossSigning, lists, dehydrated] = looked as Looked;
    const uploads = placed.flatMap(({ write, position }): Placed<UploadWrite>[] => {
      const upload = isDehydration(write) ? dehydrated.get(write)?.upload : write;
      return upload && isUpload(upload) ? [{ write: upload, position }] : [];
    });
    const storing = storeUploads(lane, uploads, { known: forUploads, now: hs.now() });
    const parts = await Promise.all([
      storing,
      storing.then(
        async (uploaded) =>
          await storeDehydrations(lane, only(placed, isDehydration), { dehydrated, uploaded }),
      ),
      storeClaims(lane, only(placed, isClaim), hs.now()),
      storeCrossSigning(lane, only(placed, isCrossSigning), forCrossSigning),
      storeSignatures(lane, only(placed, isSignatures)),
      storeRemoteLists(lane, only(placed, isRemoteList), lists),
    ]);
    const stored = new Map(parts.flatMap((part) => [...part]));

    const changedLists = placed.flatMap(({ position }): DeviceListChange[] => {
      const it = stored.get(position);
      return it && "result" in it && it.listOf !== undefined
        ? [{ userKey: it.listOf, position }]
        : [];
    });
    recordDeviceUpdates(
      lane,
      placed.flatMap(({ position }): DeviceUpdate[] => {
        const it = stored.get(position);
        if (!it || !("result" in it) || it.listOf === undefined || !it.updated) return [];
        return [{ ...it.updated, userKey: it.listOf, position }];
      }),
    );
    const told = Map.groupBy(await announceDeviceLists(lane, changedLists), (it) => it.position);
    return placed.map(({ position }): Outcome<EncryptionWritten> => {
      const it = stored.get(position);
      if (!it) return { ok: false, error: new Error("a write of keys was passed over") };
      if ("error" in it) return { ok: false, error: it.error };
      const changes = [...it.changes, ...(told.get(position) ?? [])];
      return { ok: true, result: it.result, changes };
    });
  },

  async changesBetween(sql, after, upTo) {
    const [lists, supplies, signed] = await Promise.all([
      deviceListChanges(sql, after, upTo),
      supplyChangesBetween(sql, after, upTo),
      usersSignedBetween(sql, after, upTo),
    ]);
    return [...lists, ...supplies, ...signed.map(signedUserChange)];
  },
};

function only<W extends EncryptionWrite>(
  placed: readonly Placed<EncryptionWrite>[],
  is: (write: EncryptionWrite) => write is W,
): Placed<W>[] {
  return placed.flatMap(({ write, position }) => (is(write) ? [{ write, position }] : []));
}

const isUpload = (it: EncryptionWrite): it is UploadWrite => it.kind === "upload";
const isDehydration = (it: EncryptionWrite): it is DehydrationWrite => it.kind === "dehydrate";
const isClaim = (it: EncryptionWrite): it is ClaimWrite => it.kind === "claim";
const isCrossSigning = (it: EncryptionWrite): it is CrossSigningWrite =>
  it.kind === "cross-signing";
const isRemoteList = (it: EncryptionWrite): it is RemoteListWrite =>
  it.kind === "remote-changes" || it.kind === "remote-list";
const isSignatures = (it: EncryptionWrite): it is SignaturesWrite => it.kind === "signatures";
