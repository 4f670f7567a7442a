import type { Device } from "./cast.ts";
import type { Deeds } from "./deeds.ts";
import type { Follower } from "./follower.ts";

/**
 * What is wrong with the messages that a device has got: each must have come once, those of one sender in
 * their order. Every request must have been answered by now.
 */
export function faultsOfDirects(device: Device, follower: Follower, deeds: Deeds): string[] {
  const name = `${device.userId} ${device.deviceId}`;
  const expected = deeds.directs.filter((it) => it.to.includes(device));
  const got = follower.directs.map((it) => it.n);
  const lost = expected.filter((it) => !got.includes(it.n)).map((it) => it.n);
  const twice = got.filter((it, index) => got.indexOf(it) !== index);
  const unasked = got.filter((n) => !expected.some((it) => it.n === n));
  const faults = [
    ...(lost.length > 0 ? [`${name} has not got ${lost.join()}`] : []),
    ...(twice.length > 0 ? [`${name} has got ${twice.join()} twice`] : []),
    ...(unasked.length > 0 ? [`${name} has got ${unasked.join()}, which nobody sent it`] : []),
  ];
  // What was answered only when it was repeated may have been carried out then.
  const inTime = new Set(expected.filter((it) => it.fate === "done").map((it) => it.n));
  for (const [sender, its] of Map.groupBy(follower.directs, (it) => it.sender)) {
    const ns = its.map((it) => it.n).filter((it) => inTime.has(it));
    if (ns.some((n, index) => n < (ns[index - 1] ?? 0))) {
      faults.push(`${name} has got what ${sender} sent in another order: ${ns.join()}`);
    }
  }
  return faults;
}

/** What is wrong with the timelines that a device has followed, whose gaps were filled. */
export function faultsOfTimelines(
  follower: Follower,
  rooms: ReadonlyMap<string, readonly string[]>,
): string[] {
  return [...rooms].flatMap(([roomId, eventIds]) => {
    const followed = follower.timelines.get(roomId) ?? [];
    if (followed.join() === eventIds.join()) return [];
    const lost = eventIds.filter((it) => !followed.includes(it));
    const twice = followed.filter((it, index) => followed.indexOf(it) !== index);
    return [
      `${roomId} as sync tells it: ${lost.length} lost (${lost.join()}), ${twice.length} twice (${twice.join()})`,
    ];
  });
}
