import { z } from "zod";

/** A token bucket: how fast it fills and how much it holds. */
const rateLimit = (perSecond: number, burst: number, what: string) =>
  z
    .strictObject({
      perSecond: z.number().positive().default(perSecond).describe(`${what}, in the long run.`),
      burst: z.int().min(1).default(burst).describe("How many may come at once after a pause."),
    })
    .prefault({});

/** How often clients may ask, by classes of routes. */
export const rateLimits = z
  .strictObject({
    enabled: z.boolean().default(true).describe("Whether clients may be told to come later."),
    default: rateLimit(50, 200, "Requests a second of one user or address"),
    login: rateLimit(0.2, 10, "Log-ins a second from one address"),
    register: rateLimit(0.2, 5, "Registrations a second from one address"),
    message: rateLimit(10, 50, "Events a second that one user may send"),
    join: rateLimit(1, 20, "Joins a second of one user"),
    invite: rateLimit(1, 20, "Invitations a second by one user, to rooms that they make, too"),
    thirdPartyInvite: rateLimit(
      0.05,
      10,
      "Invitations a second by one user of somebody of whom only an address is known, and e-mails that ask whether somebody has an address",
    ),
    media: rateLimit(
      10,
      50,
      "Uploads a second of one user, and pieces of 4 MiB of what is fetched from elsewhere for them",
    ),
    serverInvite: rateLimit(5, 200, "Invitations a second by one other server"),
    serverKnock: rateLimit(5, 100, "Knocks a second by one other server"),
    invited: rateLimit(1, 50, "Invitations a second that one user gets from other servers"),
    keys: rateLimit(
      20,
      100,
      "Look-ups of other users' keys a second by one user, and servers a second that one address has us ask for theirs",
    ),
    search: rateLimit(
      2,
      20,
      "Searches a second by one user: of messages, of users, and of what the user was told of",
    ),
    report: rateLimit(0.2, 10, "Reports a second by one user"),
    delayed: rateLimit(
      1,
      20,
      "Times a second that a delayed event may be put off, as calls do to say that they go on; of each event",
    ),
    push: rateLimit(1, 20, "Changes a second of where one user is told of what happens"),
    addressFactor: z
      .number()
      .min(1)
      .default(20)
      .describe(
        "How many times as much as one user all users of one address may together. The limits are those of all processes together, of which each gives out its share.",
      ),
  })
  .prefault({});
