/**
 * What clients ask for by a flag, not by a version, and is really there. Each domain adds its own, with
 * who reads it.
 */
export const UNSTABLE_FEATURES: Readonly<Record<string, boolean>> = {
  // Element Web sets up encryption only if it sees this.
  "org.matrix.e2e_cross_signing": true,
  // Profile fields and the time zone among them: Element Web looks at the flags alone.
  "uk.tcpip.msc4133": true,
  "uk.tcpip.msc4133.stable": true,
  "us.cloke.msc4175": true,
  "us.cloke.msc4175.stable": true,
  // Whether one device can see and switch off what another is told: Element Web's list of sessions.
  "org.matrix.msc3881": true,
  // Letting another client in: js-sdk and the Dart SDK, where they do not see the capability.
  "org.matrix.msc3882": true,
  // Private receipts, rooms by their types in the directory, files for those who are logged in, redactions that are sent like
  // messages, pings of application services: clients and bridges that do not look at the version.
  "org.matrix.msc2285.stable": true,
  "org.matrix.msc3827.stable": true,
  "org.matrix.msc3916.stable": true,
  "com.beeper.msc4169": true,
  "fi.mau.msc2659.stable": true,
  // Receipts and counts by thread, and mentions that are meant: likewise.
  "org.matrix.msc3771": true,
  "org.matrix.msc3773": true,
  "org.matrix.msc3952_intentional_mentions": true,
  // Phones that are to be told of all that is encrypted, to find out themselves what of it mentions them: rust-sdk.
  "org.matrix.msc4028": true,
  // A device that gets what is sent while nobody is logged in.
  "org.matrix.msc3814": true,
  // Account data that can be deleted; and settings of a device, that go with it.
  "org.matrix.msc3391": true,
  "org.matrix.msc3890": true,
  // Who may invite one: the two schemes of Element Web.
  "org.matrix.msc4155": true,
  "org.matrix.msc4380": true,
  "org.matrix.msc4380.stable": true,
  // matrix-js-sdk asks where these were before they were in the specification.
  "uk.half-shot.msc2666.query_mutual_rooms": true,
  "uk.half-shot.msc2666.query_mutual_rooms.stable": true,
  // What was redacted, for those who may redact; and redactions of what relates to an event: moderators' clients, js-sdk.
  "fi.mau.msc2815": true,
  "org.matrix.msc3912": true,
  // Threads, relations of relations, filters by how events relate: matrix-js-sdk, where it does not see the version.
  "org.matrix.msc3440.stable": true,
  "org.matrix.msc3981": true,
  "org.matrix.msc3874": true,
  // Element X, and all that is built on the Rust SDK, logs in only where it sees this.
  "org.matrix.simplified_msc3575": true,
  // Events that are sent later unless somebody says otherwise: without, calls keep those who have dropped out.
  "org.matrix.msc4140": true,
  // Events that everybody in a room is told of for a while, as that one is in a call: Element Call, js-sdk.
  "org.matrix.msc4354": true,
  // Subscriptions to threads, with a push rule for them: rust-sdk.
  "org.matrix.msc4306": true,
  // A fully-read marker that users can move back: Beeper's clients.
  "com.beeper.msc4446": true,
  // What others change of their profiles, as they do: Element X and Element Web.
  "org.matrix.msc4262": true,
  "org.matrix.msc4429": true,
};
