/**
 * The versions of the specification that clients may count on here.
 *
 * Up to v1.11: its authenticated media is the newest thing that every client needs. Of what came after
 * it most is there, but v1.12 promises account moderation routes, v1.13 the reporting of rooms, and
 * v1.15 room summaries: a client that sees a version uses what it brought.
 */
export const SPEC_VERSIONS: readonly string[] = [
  "r0.5.0",
  "r0.6.0",
  "r0.6.1",
  ...Array.from({ length: 11 }, (_, index) => `v1.${index + 1}`),
];
