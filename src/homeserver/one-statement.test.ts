import { describe, expect, it } from "vitest";
import { OneStatement, type Template, together, written } from "./one-statement.ts";
import type { Tx } from "./sql.ts";

describe("several statements as one", () => {
  it("have their texts and values in their order", () => {
    expect(shown(noted(1))).toBe("with part0 as (insert $1 into b) insert $2 into a");
    expect(shown(moved(1))).toBe(
      "with first as (move by $1), part0 as (insert $2 into a), part1 as (insert $3 into b) select $4",
    );
  });

  it("are the same template each time, of which the driver keeps something for good", () => {
    const [strings, ...values] = noted(1);
    const [again, ...others] = noted(2);
    expect(again).toBe(strings);
    expect([values, others]).toEqual([
      [101, 1],
      [102, 2],
    ]);
    expect(moved(2)[0]).toBe(moved(1)[0]);
    expect(moved(2)[0]).not.toBe(strings);
  });
});

/** What is sent where two things are noted together. */
function noted(value: number): Template {
  const sent: Template[] = [];
  together(((...template: Template) => sent.push(template)) as unknown as Tx, (tx) => {
    insert(tx, value);
  });
  const [template] = sent;
  if (!template) throw new Error("nothing was sent");
  return template;
}

/** What is sent where the same is noted between other things. */
function moved(value: number): Template {
  const one = new OneStatement((() => {}) as unknown as Tx);
  insert(one.tx, value);
  return one.between(written`move by ${value}`, written`select ${value}`);
}

function insert(tx: Tx, value: number): void {
  void tx`insert ${value} into a`;
  void tx`insert ${value + 100} into b`;
}

function shown([strings, ..._values]: Template): string {
  return strings.reduce((text, it, index) => `${text}$${index}${it}`);
}
