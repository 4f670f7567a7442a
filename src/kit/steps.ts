/**
 * A computation that can be left between two steps and taken up again, so that a large one need not
 * hold the event loop. Each `yield` ends a step of some tens of microseconds.
 */
export type Steps<Result> = Generator<void, Result, void>;

/**
 * Asked after every step. Answers with a promise when it is time to let others run: the computation
 * goes on when that is fulfilled.
 */
export type Pause = () => Promise<void> | undefined;

/** Takes all steps at once. */
export function runSteps<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Takes all steps, with a pause wherever the caller wants one. */
export async function runStepsInSlices<Result>(
  steps: Steps<Result>,
  pause: Pause,
): Promise<Result> {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    const wait = pause();
    // One after the other is what slices are.
    // oxlint-disable-next-line no-await-in-loop
    if (wait) await wait;
  }
}
