import type { Sql, Tx } from "./sql.ts";

/** Thrown where statements that are gathered into one would have to be answered, or sent, before the rest. */
export class NotAtOnce extends Error {}

/** A statement as it is written: a template, and the values that go into it. */
export type Written = { readonly strings: readonly string[]; readonly values: readonly unknown[] };

export function written(strings: TemplateStringsArray, ...values: readonly unknown[]): Written {
  return { strings, values };
}

/**
 * Several statements gathered into one, whose parts all see what was there before it: to be of different tables, and in
 * no need of each other. One costs half of what two cost, here and in the database.
 */
export class OneStatement {
  /** Gathers what is written on it. Of that nothing can be waited for: there is no answer to a part. */
  readonly tx: Tx;
  readonly #parts: Written[] = [];

  constructor(sql: Sql | Tx) {
    this.tx = new Proxy(sql, {
      apply: (target, _this, args: Parameters<Sql>) => {
        if (!isTemplate(args[0])) return target(...args);
        const [strings, ...values] = args;
        if (beginsWithWith(strings)) throw new NotAtOnce();
        this.#parts.push({ strings, values });
        return UNANSWERED;
      },
    }) as unknown as Tx;
    gathering.add(this.tx);
  }

  /** One statement of a first, the parts, and a `select` that can use the answer to the first by the name `first`. */
  between(first: Written, last: Written): Template {
    return templateOf(BETWEEN, [first, ...this.#parts, last], ({ length }) => [
      "with first as (",
      ...Array.from({ length: length - 2 }, (_, index) => `), part${index} as (`),
      ") ",
      "",
    ]);
  }

  /** The parts alone; nothing if there are none. */
  all(): Template | undefined {
    const [head, ...more] = this.#parts;
    if (!head) return undefined;
    return templateOf(ALL, [...more, head], ({ length }) => [
      ...Array.from({ length: length - 1 }, (_, index) =>
        index === 0 ? "with part0 as (" : `), part${index} as (`,
      ),
      length > 1 ? ") " : "",
      "",
    ]);
  }
}

const gathering = new WeakSet<Tx>();

/**
 * Sends statements as one: of different tables, and in no need of each other. Where they are written on what gathers
 * statements already, they become parts of that.
 */
export function together(tx: Tx, write: (tx: Tx) => void): void {
  if (gathering.has(tx)) {
    write(tx);
    return;
  }
  const one = new OneStatement(tx);
  write(one.tx);
  const all = one.all();
  if (all) void tx(...all);
}

/** What a template is called with. */
export type Template = [TemplateStringsArray, ...never[]];

/** A statement is a template; names and values that go into one are made by plain calls. */
export function isTemplate(argument: unknown): argument is TemplateStringsArray {
  return Array.isArray(argument) && "raw" in argument;
}

/** A statement that itself begins with `with` can be no part of another, if it changes anything there. */
function beginsWithWith([first]: readonly string[]): boolean {
  return first !== undefined && /^\s*with\b/.test(first);
}

/** Stands for an answer that is not to come. */
const UNANSWERED = {
  // oxlint-disable-next-line unicorn/no-thenable -- it is there for those who wait
  then(_resolve: unknown, reject: (error: Error) => void) {
    reject(new NotAtOnce());
  },
};

/**
 * What statements were fitted together, one after the other, and the strings of the template that came of it. The driver keeps
 * for good what belongs to a template, which it knows by its strings: so there may be only one of a kind. There are as many as the
 * code has statements that go together.
 */
class Shape {
  readonly #longer = new Map<readonly string[], Shape>();
  strings: TemplateStringsArray | undefined;

  with(part: readonly string[]): Shape {
    const known = this.#longer.get(part);
    if (known) return known;
    const longer = new Shape();
    this.#longer.set(part, longer);
    return longer;
  }
}

const BETWEEN = new Shape();
const ALL = new Shape();

/**
 * The template that statements make, one after the other.
 *
 * @param around what stands before the first of them, between each two, and after the last.
 */
function templateOf(
  begin: Shape,
  statements: readonly Written[],
  around: (statements: readonly Written[]) => readonly string[],
): Template {
  const shape = statements.reduce((it, { strings }) => it.with(strings), begin);
  shape.strings ??= fitted(statements, around(statements));
  return [shape.strings, ...(statements.flatMap((it) => it.values) as never[])];
}

function fitted(
  statements: readonly Written[],
  [before = "", ...after]: readonly string[],
): TemplateStringsArray {
  const strings = [before];
  for (const [index, statement] of statements.entries()) {
    const [first = "", ...rest] = statement.strings;
    strings.push((strings.pop() ?? "") + first, ...rest);
    strings.push((strings.pop() ?? "") + (after[index] ?? ""));
  }
  return Object.assign(strings, { raw: strings });
}
