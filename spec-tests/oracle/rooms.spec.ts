/** Random rooms of all versions: what Synapse says of their events, and of the state of their forks. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import { lacks } from "../needs.ts";
import { forksOf, poolOf, resolvedHere } from "./forks.ts";
import {
  type JudgedAttempt,
  type JudgedResolution,
  RESOLUTION_DIFFERENCES,
  sortOut,
  VERDICT_DIFFERENCES,
} from "./known-differences.ts";
import { type AuthoriseAnswer, openOracle, type Oracle, type OracleVerdict } from "./oracle.ts";
import { type Attempt, randomRoom, type RandomRoom } from "./random-room.ts";
import { batches, mustOccur, report, seeds, VERSIONS } from "./suite.ts";

const ROOMS_PER_VERSION = process.env["CI"] ? 130 : 92;

type States = { readonly ours: unknown; readonly theirState: unknown };

describe.skipIf(await lacks("synapse"))("random rooms", () => {
  let oracle: Oracle;
  let rooms: RandomRoom[];

  beforeAll(async () => {
    oracle = await openOracle();
    rooms = seeds(ROOMS_PER_VERSION * VERSIONS.length).map((seed, index) =>
      randomRoom(seed, VERSIONS[index % VERSIONS.length] as RoomVersionRules),
    );
  }, 120_000);
  afterAll(async () => {
    await oracle.close();
  });

  test("the authorisation rules give Synapse's verdicts", { timeout: 120_000 }, async () => {
    const differing: JudgedAttempt[] = [];
    let judged = 0;
    for (const some of batches(rooms, 50)) {
      const answers = await oracle.authorise(some.map(authoriseItemOf));
      for (const [index, room] of some.entries()) {
        const judgements = judgeRoom(room, answers[index] ?? []);
        judged += judgements.length;
        differing.push(...judgements.flat().filter(({ ours, theirs }) => ours === Boolean(theirs)));
      }
    }

    const { unexplained, counts, gone } = sortOut(differing, VERDICT_DIFFERENCES);
    report(
      `verdicts on ${judged} events of ${VERSIONS.length} room versions; known: ${tell(counts)}`,
    );
    expect(unexplained.slice(0, 10).map(tellAttempt)).toEqual([]);
    expect(judged).toBeGreaterThanOrEqual(20_000);
    expect(mustOccur(gone)).toEqual([]);
  });

  test("forks resolve to Synapse's state", { timeout: 120_000 }, async () => {
    const differing: (JudgedResolution & States)[] = [];
    let forked = 0;
    const graphs = rooms.flatMap((room, index) => forksOf(room, index));
    for (const some of batches(graphs, 100)) {
      const answers = await oracle.resolve(some.map(({ item }) => item));
      for (const [index, { room, item }] of some.entries()) {
        const answer = answers[index];
        if (!answer) continue;
        forked += 1;
        const ours = resolvedHere(room, item);
        const theirs = "refused" in answer ? `${answer.refused}: ${answer.reason}` : undefined;
        const theirState = "refused" in answer ? undefined : answer.state;
        if (JSON.stringify(ours) === JSON.stringify(theirState)) continue;
        differing.push({ room, sets: item.sets, theirs, ours, theirState });
      }
    }

    const { unexplained, counts, gone } = sortOut(differing, RESOLUTION_DIFFERENCES);
    report(`resolved state of ${forked} forked graphs; known: ${tell(counts)}`);
    expect(unexplained.slice(0, 5).map(tellResolution)).toEqual([]);
    expect(forked).toBeGreaterThanOrEqual(2_000);
    expect(mustOccur(gone)).toEqual([]);
  });
});

function authoriseItemOf(room: RandomRoom) {
  return { ...poolOf(room), cases: room.attempts.map(({ text, state }) => ({ text, state })) };
}

/** For each event that both sides judged, what of their verdicts can be compared. */
function judgeRoom(room: RandomRoom, answers: readonly AuthoriseAnswer[]): JudgedAttempt[][] {
  return room.attempts.flatMap((attempt, place) => {
    const answer = answers[place];
    if (!answer || "refused" in answer) return [];
    return [judge(attempt, answer).map((judgement) => ({ room, attempt, ...judgement }))];
  });
}

type Judgement = Pick<JudgedAttempt, "by" | "ours" | "theirs">;

/**
 * What of the two sides' verdicts can be compared. Rule 1, on create events, is a part of one check
 * here and of the other there; and an exception that is no verdict says nothing of the auth events.
 */
function judge(
  { event, byAuthEvents, byState }: Attempt,
  answer: Exclude<AuthoriseAnswer, { refused: string }>,
): Judgement[] {
  const theirs = {
    byAuthEvents: refusalOf(answer.byAuthEvents),
    byState: refusalOf(answer.byState),
  };
  const whole: Judgement = {
    by: "whole",
    ours: byAuthEvents.allowed && byState.allowed,
    theirs: theirs.byAuthEvents ?? theirs.byState,
  };
  if (event.type === "m.room.create") return [whole];
  const state: Judgement = { by: "byState", ours: byState.allowed, theirs: theirs.byState };
  if (!/^(AuthError|$)/.test(theirs.byAuthEvents ?? "")) return [whole, state];
  return [
    whole,
    state,
    { by: "byAuthEvents", ours: byAuthEvents.allowed, theirs: theirs.byAuthEvents },
  ];
}

/** The exception, or undefined if they allow the event. */
function refusalOf(verdict: OracleVerdict): string | undefined {
  return verdict.allowed ? undefined : `${verdict.refused}: ${verdict.reason}`;
}

function tell(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([what, count]) => `${what} ×${count}`).join("; ") || "none";
}

function tellAttempt({ room, attempt, by, ours, theirs }: JudgedAttempt): unknown {
  const { byAuthEvents, byState, text, state } = attempt;
  return {
    version: room.rules.version,
    by,
    ours: `${ours ? "allowed" : "rejected"}: ${byAuthEvents.rule}, ${byState.rule}`,
    theirs: theirs ?? "allowed",
    text,
    state: state.map((place) => room.pool[place]?.text),
  };
}

function tellResolution({ room, sets, theirs, ...states }: JudgedResolution & States): unknown {
  const pool = room.pool.map(({ event, text, rejected }) => [event.event_id, rejected, text]);
  return { version: room.rules.version, theirs, ...states, sets, pool };
}
