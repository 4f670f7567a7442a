import { accountDataSection } from "#src/account-data/sync-section.ts";
import { toDeviceSection } from "#src/devices/sync-section.ts";
import { deviceListsSection, keySupplySection } from "#src/encryption/sync-section.ts";
import { receiptsSection, typingSection } from "#src/ephemeral/sync-section.ts";
import { presenceSection } from "#src/presence/sync-section.ts";
import { unreadSection } from "#src/push/sync-section.ts";
import type { SyncSection } from "#src/streams/sync-section.ts";
import { profilesSection } from "#src/users/sync-section.ts";

/**
 * All that `/sync` is made of besides the events of rooms. Each domain writes its own section; this
 * list is the only place that knows them all.
 */
export const SECTIONS: readonly SyncSection[] = [
  accountDataSection,
  receiptsSection,
  typingSection,
  presenceSection,
  unreadSection,
  toDeviceSection,
  deviceListsSection,
  keySupplySection,
  profilesSection,
];
