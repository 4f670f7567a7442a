import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Change } from "#src/streams/stream.ts";
import { ACCOUNTS } from "./accounts-stream.ts";
import { takeOneTimeToken } from "./one-time-tokens.ts";
import {
  type FirstPair,
  insertFirstPairs,
  type LogIn,
  type NewPair,
  refusedLogIns,
} from "./queries-tokens.ts";

export type { FirstPair };

/** What is kept of somebody who logs in on a device. */
export type Admission = {
  readonly pair: NewPair;
  /** The hash of the password that was given, if one was. */
  readonly passwordHash: string | undefined;
  /** The log-in token that was given, if one was. It is used up. */
  readonly loginToken?: string | undefined;
};

type Coming = { readonly logIn: (LogIn & Pick<Admission, "loginToken">) | undefined };

/**
 * Those who log in on devices, in the lane, as far as nothing keeps them from it: that the account has ended, or been locked or given another
 * password, that the log-in token was used by others, or that the device is a dehydrated one.
 */
export async function admissible<T extends Coming>(
  hs: Homeserver,
  lane: Tx,
  all: readonly T[],
): Promise<readonly T[]> {
  const coming = all.filter((it) => it.logIn !== undefined);
  const refused = await refusedLogIns(
    lane,
    coming.flatMap(({ logIn }) => logIn ?? []),
  );
  const out = new Set(coming.filter((_, index) => refused.has(index)));
  for (const it of coming) {
    const token = it.logIn?.loginToken;
    if (token === undefined || out.has(it)) continue;
    if (!(await takeOneTimeToken(hs, lane, { purpose: "login", token }))) out.add(it);
  }
  return all.filter((it) => !out.has(it));
}

/**
 * Gives devices their tokens, in the lane. Those they had before end, of which all processes hear.
 *
 * @returns the news of that, by the keys of the devices; those are left out that are gone.
 * @spec client-server-api#relationship-between-access-tokens-and-devices
 */
export async function admitDevices(
  lane: Tx,
  pairs: readonly FirstPair[],
): Promise<ReadonlyMap<number, readonly Change[]>> {
  // Of several who log in on one device at the same moment, one stays.
  const last = new Map(pairs.map((it) => [it.deviceKey, it]));
  const rows = await insertFirstPairs(lane, [...last.values()]);
  return new Map(
    rows.map(({ deviceKey, endedOf: userKey }) => {
      const { position } = last.get(deviceKey) ?? { position: 0 };
      return [deviceKey, userKey === null ? [] : [{ position, stream: ACCOUNTS, userKey }]];
    }),
  );
}
