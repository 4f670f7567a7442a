/** The kind of condition by which an event is of a thread that the user has subscribed to, or has not (MSC4306). */
export const THREAD_CONDITION = "io.element.msc4306.thread_subscription";
