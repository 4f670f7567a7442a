import { setTimeout as sleep } from "node:timers/promises";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { giveBack, type Returned } from "./queries-jobs.ts";

/** Jobs that end so soon one after another are given back together: most have found nothing to do. */
const TOGETHER_MS = 20;

/** Gives back the jobs of one holder, those that end at about the same time by one statement. */
export class Returns {
  readonly #hs: Homeserver;
  readonly #holder: string;
  #next: { readonly jobs: Returned[]; readonly given: Promise<void> } | undefined;

  constructor(hs: Homeserver, holder: string) {
    this.#hs = hs;
    this.#holder = holder;
  }

  /** @returns what resolves when the job has been given back, or could not be: then its lease will end. Never throws. */
  async add(job: Returned): Promise<void> {
    this.#next ??= this.#begin();
    this.#next.jobs.push(job);
    await this.#next.given;
  }

  #begin() {
    const jobs: Returned[] = [];
    return { jobs, given: this.#giveSoon(jobs) };
  }

  async #giveSoon(jobs: readonly Returned[]): Promise<void> {
    const { sql, stopping, log } = this.#hs;
    await sleep(TOGETHER_MS, undefined, { signal: stopping }).catch(() => {});
    this.#next = undefined;
    try {
      await giveBack(sql, this.#holder, jobs);
    } catch (error) {
      if (stopping.aborted) return;
      log.warn({ err: error, jobs: jobs.map((it) => it.name) }, "cannot give jobs back");
    }
  }
}
