/** Something to wait for that happens now and then: what rings while nobody waits is heard by the next who does. */
export type Bell = {
  readonly ring: () => void;
  /** Resolves when it has rung since it was heard last, or after a time. */
  readonly rung: (withinMs: number) => Promise<void>;
};

export function newBell(): Bell {
  let hasRung = false;
  let heard = () => {};
  return {
    ring() {
      hasRung = true;
      heard();
    },
    async rung(withinMs) {
      if (!hasRung) {
        const { promise, resolve } = Promise.withResolvers<void>();
        heard = resolve;
        const timer = setTimeout(resolve, withinMs);
        await promise;
        clearTimeout(timer);
      }
      hasRung = false;
    },
  };
}
