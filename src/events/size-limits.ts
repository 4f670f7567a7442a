/** A complete event, as Canonical JSON. @spec client-server-api#size-limits */
export const MAX_EVENT_BYTES = 65_536;

/** `sender`, `room_id`, `event_id`, `type` and `state_key`, each. */
export const MAX_FIELD_BYTES = 255;

/** `type` and `state_key` in rooms that do not limit their bytes: as many characters, of any length. */
export const MAX_FIELD_CHARACTERS = 255;

/** A room's depth stays here when it has come so far. @spec rooms/v6#event-format */
export const MAX_DEPTH = Number.MAX_SAFE_INTEGER;

/** @spec rooms/v4#event-format */
export const MAX_AUTH_EVENTS = 10;

/** @spec rooms/v4#event-format */
export const MAX_PREV_EVENTS = 20;
