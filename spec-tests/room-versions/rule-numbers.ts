import { versions } from "./room.ts";

/** The rules, with the room versions that have them: [numbers, first version, last version]. */
const RULES: readonly (readonly [numbers: string, from: number, to?: number])[] = [
  ["1.1 1.3 1.5", 1],
  ["1.2 1.4", 12],
  ["v10:1.4", 1, 10],
  ["v11:1.2 v11:2.4", 1, 11],
  ["2", 12],
  ["3 3.1 3.2 3.3 3.4", 1],
  ["4", 1],
  ["v5:4.1 v5:4.2 v5:4.3", 1, 5],
  ["5.1", 1],
  ["5.2.1", 8],
  ["5.3.1 5.3.2 5.3.3 5.3.4 5.3.6 5.3.7", 1],
  ["5.3.5.1 5.3.5.2 5.3.5.3", 8],
  ["5.4.1.1 5.4.1.2 5.4.1.3 5.4.1.4 5.4.1.5 5.4.1.6 5.4.1.7 5.4.1.8", 1],
  ["5.4.2 5.4.3 5.4.4 5.4.5", 1],
  ["5.5.1 5.5.2 5.5.3 5.5.4 5.5.5", 1],
  ["5.6.1 5.6.2 5.6.3", 1],
  ["5.7.1 5.7.2 5.7.3 5.7.4", 7],
  ["5.8", 1],
  ["6 7.1 8 9", 1],
  ["10.1 10.2", 10],
  ["10.3", 1],
  ["10.4", 12],
  ["10.5 10.6.1 10.6.2 10.7.1 10.8.1 10.9.1 10.10.1 10.11", 1],
  ["v2:11.1 v2:11.2 v2:11.3", 1, 2],
  ["11", 1],
];

/** The numbers of all rules that a room version has. @spec rooms/v12#authorisation-rules */
export function ruleNumbersOf(version: string): Set<string> {
  return new Set(
    RULES.filter(([, from, to]) => versions(from, to).includes(version)).flatMap(([numbers]) =>
      numbers.split(" "),
    ),
  );
}
