import { z } from "zod";
import { isServerName } from "#src/kit/server-name.ts";

const duration = z.int().min(1);

const serverName = z.string().refine((name): boolean => isServerName(name), "Not a server name");

/** Other servers. */
export const federation = z
  .strictObject({
    enabled: z.boolean().default(true).describe("Whether to talk with other servers at all."),
    requestTimeoutMs: duration
      .default(60_000)
      .describe("How long to wait for another server's answer, in milliseconds."),
    partners: z
      .array(serverName)
      .default([])
      .describe(
        "Names of servers that are waited for: one that is down is tried again at least twice a minute.",
      ),
    maxRetryWaitMs: duration
      .default(60 * 60 * 1000)
      .describe(
        "Longest wait before a server that is down, and is no partner, is tried again, in milliseconds. One that is heard of is tried at once.",
      ),
    giveUpAfterMs: duration
      .default(60 * 24 * 60 * 60 * 1000)
      .describe(
        "How long a server, if it is no partner, may be away until what it is owed is let go of, in milliseconds.",
      ),
    allowedAddressRanges: z
      .array(
        z.union([z.cidrv4(), z.cidrv6()], { error: "Not a range like 10.0.0.0/8 or fd00::/8" }),
      )
      .default([])
      .describe("Private address ranges (CIDR) that may be connected to all the same."),
    caFile: z
      .string()
      .nullable()
      .default(null)
      .describe("PEM file with authorities to trust besides those the system trusts."),
    hostsFile: z
      .string()
      .nullable()
      .default(null)
      .describe("File like `/etc/hosts` that is asked before DNS, and read again when it changes."),
    tellDeviceNames: z
      .boolean()
      .default(false)
      .describe("Whether other servers are told what our users call their devices."),
    trustedKeyServers: z
      .array(serverName)
      .default([])
      .describe("Servers that are asked for the keys of servers that cannot be reached."),
  })
  .prefault({})
  .describe("Other servers, and how they are reached.");
