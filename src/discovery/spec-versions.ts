/** The newest version of the specification that clients may count on here. */
const NEWEST = 19;

/**
 * The versions of the specification that clients may count on here.
 *
 * What is a server's choice is said elsewhere: that there is no OAuth 2.0 (v1.15) by `auth_metadata`, which clients ask
 * before they log in; the rest by capabilities. Old bots know none but the first three.
 */
export const SPEC_VERSIONS: readonly string[] = [
  "r0.5.0",
  "r0.6.0",
  "r0.6.1",
  ...Array.from({ length: NEWEST }, (_, index) => `v1.${index + 1}`),
];
