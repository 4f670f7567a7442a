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
    const text = new Text();
    text.add("with first as (", first, ")");
    for (const [index, part] of this.#parts.entries()) text.add(`, part${index} as (`, part, ")");
    text.add(" ", last, "");
    return text.template();
  }

  /** The parts alone; nothing if there are none. */
  all(): Template | undefined {
    const [head, ...more] = this.#parts;
    if (!head) return undefined;
    const text = new Text();
    for (const [index, part] of more.entries()) {
      text.add(`${index === 0 ? "with" : ","} part${index} as (`, part, ") ");
    }
    text.add("", head, "");
    return text.template();
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

/** A template in the making. */
class Text {
  readonly #strings: string[] = [""];
  readonly #values: unknown[] = [];

  add(before: string, { strings, values }: Written, after: string): void {
    const [first = "", ...rest] = strings;
    this.#strings.push((this.#strings.pop() ?? "") + before + first, ...rest);
    this.#strings.push((this.#strings.pop() ?? "") + after);
    this.#values.push(...values);
  }

  template(): Template {
    const strings = Object.assign(this.#strings, { raw: this.#strings });
    return [strings, ...(this.#values as never[])];
  }
}
