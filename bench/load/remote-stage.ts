import { z } from "zod";
import type { Usage } from "../measure/gauge.ts";
import type { Measurement, Memory, Stage } from "./stage.ts";

type Plain =
  | "begin"
  | "end"
  | "memory"
  | "databaseBytes"
  | "waitingMessages"
  | "settle"
  | "restart";

/** What the load asks of the process that started it. */
export type Question =
  | { readonly kind: Plain }
  | { readonly kind: "report"; readonly measurement: Measurement };

/** A question on its way, and what comes back. */
export type Asked = { readonly number: number; readonly question: Question };
export type Answered = {
  readonly number: number;
  readonly value?: unknown;
  readonly fault?: string;
};

const answered = z.object({
  number: z.number(),
  value: z.unknown().optional(),
  fault: z.string().optional(),
});
const usage = z.object({
  serverCpuMs: z.number(),
  postgresCpuMs: z.number(),
  walBytes: z.number(),
  serverRssBytes: z.number(),
  serverPeakGrowthBytes: z.number(),
  wholeMs: z.number(),
}) satisfies z.ZodType<Usage>;
const memory = z.object({
  serverRssBytes: z.number(),
  serverBytes: z.number(),
  postgresBytes: z.number(),
}) satisfies z.ZodType<Memory>;

/** The stage as the load sees it, in a process of its own: every word goes to the parent and back. */
export function remoteStage(about: Pick<Stage, "target" | "federation" | "size">): Stage {
  const waiting = new Map<number, (answer: Answered) => void>();
  let numbers = 0;
  process.on("message", (message) => {
    const answer = answered.parse(message);
    waiting.get(answer.number)?.(answer as Answered);
    waiting.delete(answer.number);
  });
  const ask = async (question: Question): Promise<unknown> => {
    const number = numbers++;
    const asked: Asked = { number, question };
    process.send?.(asked);
    const answer = await new Promise<Answered>((resolve) => waiting.set(number, resolve));
    if (answer.fault !== undefined) throw new Error(answer.fault);
    return answer.value;
  };
  return {
    ...about,
    begin: async () => void (await ask({ kind: "begin" })),
    end: async () => usage.parse(await ask({ kind: "end" })),
    memory: async () => memory.parse(await ask({ kind: "memory" })),
    databaseBytes: async () => z.number().parse(await ask({ kind: "databaseBytes" })),
    waitingMessages: async () => z.number().parse(await ask({ kind: "waitingMessages" })),
    settle: async () => void (await ask({ kind: "settle" })),
    restart: async () => void (await ask({ kind: "restart" })),
    report: async (measurement) => void (await ask({ kind: "report", measurement })),
  };
}
