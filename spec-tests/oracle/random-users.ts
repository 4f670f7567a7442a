/** Whoever is in random rooms: of three servers, and one with an historical ID. */
export const USERS = [
  "@ada:hs1.test",
  "@bea:hs1.test",
  "@cid:hs2.test",
  "@dan:hs2.test",
  "@eve:hs3.test",
  "@Old Name:hs3.test",
] as const;

/** What is no user ID, or hardly one. */
export const ODD_USERS = ["@:hs1.test", "@x:", "nobody", "@noserver", "", "#a:hs1.test"] as const;
