import type { Size, Stage } from "../load/stage.ts";
import type { PasswordCost } from "../servers/server-under-test.ts";

/** One thing that a server is measured at, in some variants. */
export type Workload = {
  /** `W1`, as in the table of workloads. */
  readonly id: string;
  readonly title: string;
  /** Whether it asks for more than the null server can answer, such as other servers do. */
  readonly beyondNull?: boolean;
  /** What it costs to check a password meanwhile, if not as little as can be. */
  readonly passwordCost?: PasswordCost;
  /** Every case, and from which size on it belongs to a run. A case that is named is run at any size. */
  readonly cases: ReadonlyMap<string, Size>;
  /** Runs cases on a server that is fresh, and reports a measurement of each. */
  run(stage: Stage, cases: readonly string[]): Promise<void>;
};

const SIZES: readonly Size[] = ["S", "M", "L"];

/**
 * The cases of a workload that are to be run.
 *
 * @param only beginnings of case IDs, by whole parts: `W1` or `W1/10` or `W1/10/c8`. None means all.
 */
export function chosenCases(
  { cases }: Workload,
  { size, only }: { readonly size: Size; readonly only: readonly string[] },
): string[] {
  return [...cases].flatMap(([id, from]) => {
    if (only.some((wanted) => id === wanted)) return [id];
    const fits = SIZES.indexOf(from) <= SIZES.indexOf(size);
    const named = only.length === 0 || only.some((wanted) => id.startsWith(`${wanted}/`));
    return fits && named ? [id] : [];
  });
}

/** The number at a place of a case's ID: `numberAt("W1/10/c8", 2)` is 8. */
export function numberAt(id: string, place: number): number {
  const number = Number(id.split("/")[place]?.replace(/^\D/, ""));
  if (!Number.isSafeInteger(number)) throw new Error(`${id} has no number at place ${place}.`);
  return number;
}

/** A figure that depends on the size of the run. */
export function bySize<T>(size: Size, [small, middle, large]: readonly [T, T, T]): T {
  if (size === "S") return small;
  return size === "M" ? middle : large;
}
