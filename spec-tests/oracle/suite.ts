import fc from "fast-check";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";

/** The seed of all that is random here. `FC_SEED` sets another. */
const SEED = Number(process.env["FC_SEED"] ?? 20_261_125);

/** The known differences that must have occurred: with a seed of somebody's own, the rare may not. */
export function mustOccur(gone: readonly string[]): readonly string[] {
  return process.env["FC_SEED"] === undefined ? gone : [];
}

/** Seeds for this many random things. */
export function seeds(count: number): number[] {
  return fc.sample(fc.integer(), { numRuns: count, seed: SEED });
}

export const VERSIONS: readonly RoomVersionRules[] = [...ROOM_VERSIONS.values()];

/** Slices of a list, for requests of a size that neither side minds. */
export function batches<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}

/** One line of a report, beside vitest's own. */
export function report(line: string): void {
  process.stderr.write(`oracle: ${line}\n`);
}
