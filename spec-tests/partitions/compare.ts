import { checkContentHash } from "#src/events/event-hash.ts";
import type { Deed } from "./acts.ts";
import type { FaultyNetwork } from "./faulty-network.ts";
import type { Seen } from "./onlooker.ts";
import type { Shown, View } from "./view.ts";

/** How many of a kind of difference are told. */
const TOLD = 5;

/** In what servers do not agree about a room. Nothing, once all have heard of everything. */
export function differencesOf(views: readonly View[]): string[] {
  const ours = views.filter((it) => it.of.player.isOurs);
  const [first] = ours;
  if (!first) throw new Error("none is ours");
  const names = new Set(ours.map((it) => it.of.player.name));
  const differences: string[] = [];
  for (const view of views) {
    if (view !== first) {
      differences.push(
        ...differing(`the state at ${nameOf(first)} and ${nameOf(view)}`, first.state, view.state),
      );
      differences.push(...shownOtherwise(first, view));
    }
    if (!view.of.player.isOurs) continue;
    differences.push(...faultsOfView(view));
    for (const other of views) differences.push(...lackingOf(view, other, names));
  }
  return differences;
}

/** What is part of a room, be it shown or not. */
const PART: ReadonlySet<string> = new Set(["shown", "untold"]);

/** What a server does not know that another one shows. */
function lackingOf(view: View, other: View, ours: ReadonlySet<string>): string[] {
  const faults: string[] = [];
  for (const [id, { standing, pdu }] of other.kept) {
    if (standing === "outlier") continue;
    const kept = view.kept.get(id);
    // Synapse does not send all that it has missed to send, and what no accepted event follows nobody finds out by themselves.
    const sender = pdu.sender.slice(pdu.sender.indexOf(":") + 1);
    // What its own server took for soft-failed was refused, as an invitation that its room did not allow any more once it was signed.
    const wasRefused = standing === "soft-failed" && sender === other.of.player.name;
    const isOwed = PART.has(standing) || (ours.has(sender) && !wasRefused);
    if (isOwed && (kept === undefined || kept.standing === "outlier")) {
      faults.push(
        `${nameOf(view)} lacks ${id}, which is ${standing} at ${nameOf(other)}: ${told(pdu)}`,
      );
    }
    if (kept?.standing === "rejected" && standing !== "rejected") {
      faults.push(
        `${nameOf(view)} rejects ${id}, which is ${standing} at ${nameOf(other)}: ${told(pdu)}`,
      );
    }
  }
  return few(faults);
}

/** Where what a server shows is not what it has. */
function faultsOfView(view: View): string[] {
  const name = nameOf(view);
  const has = [...view.kept].filter(([, it]) => it.standing === "shown").map(([id]) => id);
  const byMembers = [...view.members]
    .filter(([, it]) => it === "join")
    .map(([userId]) => userId)
    .toSorted();
  const states = [...view.state.keys()].flatMap(
    (it) => /^m\.room\.member (.*)$/.exec(it)?.[1] ?? [],
  );
  return [
    ...few(has.filter((id) => !view.shown.has(id)).map((id) => `${name} does not show ${id}`)),
    ...few(
      [...view.shown.keys()].filter((id) => !has.includes(id)).map((id) => `${name} shows ${id}`),
    ),
    ...(byMembers.join() === view.joined.join()
      ? []
      : [`${name}: ${view.joined.join()} are joined, but by the members ${byMembers.join()}`]),
    ...([...view.members.keys()].toSorted().join() === states.toSorted().join()
      ? []
      : [`${name}: the members are not those of the state`]),
  ];
}

/** What keeps a client that syncs from seeing a room as its server does. */
export function faultsOfSeen(seen: Seen | undefined, view: View): string[] {
  const name = `one who syncs at ${nameOf(view)}`;
  if (!seen) return [`${name} has not seen the room`];
  const twice = seen.eventIds.filter((id, index) => seen.eventIds.indexOf(id) !== index);
  const got = new Set(seen.eventIds);
  // No answer can say that there is no such state any more, as happens where what set it turns out not to have been allowed.
  const known = new Map([...seen.state].filter(([slot]) => view.state.has(slot)));
  return [
    ...differing(`the state for ${name} and at the server`, known, view.state),
    ...few(twice.map((id) => `${name} got ${id} twice`)),
    ...few(
      seen.eventIds
        .filter((id) => !view.shown.has(id))
        .map((id) => `${name} got ${id}, which is not shown`),
    ),
    ...few(
      // What came late stands before what a client has seen: it is found by reading back.
      [...view.shown.keys()]
        .filter((id) => !got.has(id) && view.kept.get(id)?.isLate !== true)
        .map((id) => `${name} did not get ${id}`),
    ),
  ];
}

/** Which deeds servers of ours do not know of. */
export function lackedDeeds(
  network: FaultyNetwork,
  deeds: readonly Deed[],
  views: readonly Pick<View, "of" | "kept">[],
): string[] {
  const hashOf = (eventId: string) =>
    views.flatMap((view) => view.kept.get(eventId)?.pdu.hashes.sha256 ?? [])[0] ?? "";
  return few(
    views.flatMap((view) =>
      deeds.flatMap(({ eventId, actor }) => {
        const standing = view.kept.get(eventId)?.standing;
        if (standing !== undefined && standing !== "outlier") return [];
        const wasGiven = network.hasDelivered(view.of.player.name, hashOf(eventId));
        return `${nameOf(view)} lacks ${eventId}, sent at ${actor.player.name}: ${standing ?? "unknown"}, ${wasGiven ? "given" : "never given"}`;
      }),
    ),
  );
}

/** What ours show and Synapse does not have: it may lose what it was given, but it must have been given it. */
export function lackedBySynapse(
  network: FaultyNetwork,
  views: readonly View[],
): { readonly lost: number; readonly unsent: readonly string[] } {
  const synapse = views.find((it) => !it.of.player.isOurs);
  const lost = new Set<string>();
  const unsent = new Set<string>();
  for (const [id, { standing, pdu }] of views.flatMap((view) => [...view.kept])) {
    if (standing !== "shown" || !synapse || synapse.kept.has(id)) continue;
    const hasGot = network.hasDelivered(synapse.of.player.name, pdu.hashes.sha256);
    (hasGot ? lost : unsent).add(id);
  }
  return { lost: lost.size, unsent: [...unsent].map((id) => `Synapse was never sent ${id}`) };
}

function nameOf({ of }: Pick<View, "of">): string {
  return `${of.player.name}${of.player.isOurs ? "" : " (Synapse)"}`;
}

/** What two servers both show, and not alike. */
function shownOtherwise(first: View, second: View): string[] {
  const faults: string[] = [];
  for (const [id, one] of first.shown) {
    const other = second.shown.get(id);
    if (other === undefined || one.text === other.text) continue;
    // Who asked for it late may have got only what a redaction has left, from a server that knows of one which is none here.
    if (cameRedacted(first, id) || cameRedacted(second, id)) continue;
    // A redaction that is not shown is not applied.
    const isUnknown = (by: string | undefined, view: View) =>
      by !== undefined && !view.shown.has(by);
    if (isUnknown(one.redactedBy, second) || isUnknown(other.redactedBy, first)) continue;
    const told = (it: Shown) => `${it.text} (redacted by ${it.redactedBy})`;
    faults.push(`${id}: ${nameOf(first)} shows ${told(one)}, ${nameOf(second)} ${told(other)}`);
  }
  return few(faults);
}

function cameRedacted({ kept }: View, id: string): boolean {
  const pdu = kept.get(id)?.pdu;
  return pdu !== undefined && !checkContentHash(pdu);
}

function differing(
  what: string,
  first: ReadonlyMap<string, string>,
  second: ReadonlyMap<string, string>,
): string[] {
  const keys = new Set([...first.keys(), ...second.keys()]);
  return few(
    [...keys]
      .filter((key) => first.get(key) !== second.get(key))
      .map((key) => `${what}: ${key} is ${first.get(key)} and ${second.get(key)}`),
  );
}

/** What an event says, without what proves it. */
function told(pdu: object | undefined): string {
  return JSON.stringify({ ...pdu, signatures: undefined, hashes: undefined });
}

function few(faults: readonly string[]): string[] {
  if (faults.length <= TOLD) return [...faults];
  return [...faults.slice(0, TOLD), `… and ${faults.length - TOLD} more`];
}
