import type { StateLookup } from "../auth-rules/auth-state.ts";
import type { Pdu } from "../pdu.ts";

/**
 * A state that resolution builds up over another one, without copying either. Keyed twice, by type
 * and then by state key: the iterative auth checks ask some ten thousand times, and making one string
 * of both would cost more than looking up two.
 */
export class PartialState {
  readonly #applied = new Map<string, Map<string, Pdu>>();
  readonly #base: StateLookup;

  /** @param base the state underneath, asked for what has not been applied. */
  constructor(base: StateLookup) {
    this.#base = base;
  }

  get(type: string, stateKey: string): Pdu | undefined {
    return this.#applied.get(type)?.get(stateKey) ?? this.#base(type, stateKey);
  }

  /** Puts a state event in its place. */
  apply(event: Pdu, stateKey: string): void {
    const ofType = this.#applied.get(event.type);
    if (ofType) ofType.set(stateKey, event);
    else this.#applied.set(event.type, new Map([[stateKey, event]]));
  }

  /** What has been applied and not replaced since. */
  *applied(): Iterable<{ type: string; stateKey: string; event: Pdu }> {
    for (const [type, ofType] of this.#applied) {
      for (const [stateKey, event] of ofType) yield { type, stateKey, event };
    }
  }
}
