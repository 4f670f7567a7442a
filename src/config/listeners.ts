import { z } from "zod";

const port = z.int().min(0).max(65_535);

/** Where clients and other servers come in. */
export const listener = z
  .strictObject({
    host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
    port: port.default(8008).describe("Port for plain HTTP. 0 takes a free one."),
    trustForwardedFor: z
      .boolean()
      .default(false)
      .describe(
        "Whether the last address of `X-Forwarded-For` says who calls. True only behind a proxy that sets or extends it.",
      ),
  })
  .prefault({});

export const tlsListener = z
  .strictObject({
    host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
    port: port.default(8448).describe("Port for HTTPS. 0 takes a free one."),
    certFile: z.string().min(1).describe("PEM file with the certificate and its chain."),
    keyFile: z.string().min(1).describe("PEM file with the certificate's private key."),
  })
  .nullable()
  .default(null)
  .describe("A second listener, with TLS, for servers that stand behind no proxy.");

/** Where Prometheus asks. */
export const metrics = z
  .strictObject({
    enabled: z.boolean().default(true).describe("Whether to serve `/metrics` for Prometheus."),
    host: z.string().min(1).default("127.0.0.1").describe("Address to listen on."),
    port: port.default(9008).describe("Port of the metrics listener. 0 takes a free one."),
  })
  .prefault({});
