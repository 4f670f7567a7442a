import { z } from "zod";

const duration = z.int().min(1);

/** An object store for files. */
const s3 = z
  .strictObject({
    bucket: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe(
        "Bucket of an object store with the S3 API, for files. It has to be there. Null keeps them in `directory`.",
      ),
    region: z.string().min(1).default("us-east-1").describe("Region of the bucket."),
    endpoint: z
      .url({ protocol: /^https?$/, error: "Not a URL like https://objects.example.org" })
      .nullable()
      .default(null)
      .describe("Where the object store is. Null: at AWS, by the region."),
    prefix: z
      .string()
      .max(512)
      .default("")
      .describe(
        "What the names of all objects begin with, as in `archipel/`. Below it, nothing but this server's files may be: others are taken for garbage.",
      ),
    pathStyle: z
      .boolean()
      .default(false)
      .describe(
        "Whether the bucket stands in the path and not in the host name. Most stores outside AWS need it.",
      ),
    accessKeyId: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe(
        "Access key. Null: from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or the role of the machine or container.",
      ),
    secretAccessKey: z.string().min(1).nullable().default(null).describe("The key's secret."),
    secretAccessKeyFile: z
      .string()
      .nullable()
      .default(null)
      .describe("File that holds the value of `secretAccessKey`."),
  })
  .refine((it) => (it.accessKeyId === null) === (it.secretAccessKey === null), {
    message: "accessKeyId and secretAccessKey are only of use together",
  })
  .prefault({});

/** Files. */
export const media = z
  .strictObject({
    maxUploadBytes: z
      .int()
      .min(1)
      .default(100 * 1024 * 1024)
      .describe("Largest file that may be uploaded, in bytes."),
    directory: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe(
        "Directory for files. Null: `media` in `dataDir`. Several processes need a shared one. With `s3.bucket` it is for those alone that are on their way there, and each machine may have its own.",
      ),
    s3,
    maxPendingUploads: z
      .int()
      .min(1)
      .default(20)
      .describe("How many media a user may have announced and not yet uploaded."),
    maxUserBytes: z
      .int()
      .min(0)
      .nullable()
      .default(null)
      .describe("How many bytes all files of a user may have together. Null: any number."),
    maxUserFiles: z
      .int()
      .min(0)
      .nullable()
      .default(null)
      .describe("How many files a user may have uploaded. Null: any number."),
    maxThumbnailPixels: z
      .int()
      .min(1)
      .default(50_000_000)
      .describe(
        "Largest picture that thumbnails are made of, in pixels; of AVIF a quarter of that.",
      ),
    maxRemoteCopyBytes: z
      .int()
      .min(0)
      .default(20 * 1024 * 1024 * 1024)
      .describe(
        "Room for copies of other servers' files, in bytes, for all together. Those that were wanted least lately give way.",
      ),
    remoteCopyLifetimeMs: duration
      .default(90 * 24 * 60 * 60 * 1000)
      .describe(
        "How long a copy of another server's file is kept after somebody last wanted it, in milliseconds.",
      ),
    unauthenticatedAccess: z
      .boolean()
      .default(false)
      .describe(
        "Whether files can be fetched without an access token, over the deprecated paths of old clients.",
      ),
  })
  .prefault({});
