/**
 * The versions of the specification that clients may count on here.
 *
 * Up to v1.11: its authenticated media is the newest thing that every client needs. Of what came after
 * it much is there, but not all: v1.13 promises the reporting of rooms, v1.14 of users, and v1.15
 * room summaries: a client that sees a version uses what it brought.
 */
export const SPEC_VERSIONS: readonly string[] = [
  "r0.5.0",
  "r0.6.0",
  "r0.6.1",
  ...Array.from({ length: 11 }, (_, index) => `v1.${index + 1}`),
];
