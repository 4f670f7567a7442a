/** The name of the follower that marks what destinations are owed: its place says how far that has been done. */
export const FOLLOWER = "federation";
