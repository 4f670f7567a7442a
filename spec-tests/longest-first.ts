import { BaseSequencer, type TestSpecification } from "vitest/node";
import { LONG_SUITES } from "./long-suites.ts";

/** What takes minutes, of which most is waiting. */
const LONG = LONG_SUITES.slice(0, 2);

/** Begins with the files that take longest, so that none of them is what all wait for in the end. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = (it: TestSpecification) => LONG.some((end) => it.moduleId.endsWith(end));
    return [...sorted.filter(isLong), ...sorted.filter((it) => !isLong(it))];
  }
}
