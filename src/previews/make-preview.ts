import { createHash } from "node:crypto";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Allowance } from "#src/kit/allowance.ts";
import { matchesGlob } from "#src/kit/glob.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { type KeptPicture, keepPicture } from "#src/media/keep-picture.ts";
import { destinationOfUrl } from "#src/outbound/destination.ts";
import { OutboundError } from "#src/outbound/outbound-failure.ts";
import { type OutboundAnswer, sendRequest } from "#src/outbound/send-request.ts";
import { findPreview, insertPreview } from "./queries-previews.ts";

/** How long what a URL leads to counts as known. */
const FRESH_MS = 60 * 60 * 1000;

const TIMEOUT_MS = 10_000;
const MOST_REDIRECTS = 5;
const MOST_PAGE_BYTES = 5 * 1024 * 1024;
const MOST_PICTURE_BYTES = 10 * 1024 * 1024;
const MOST_URL_CHARACTERS = 8_192;

/** What a URL leads to, by the names of OpenGraph. */
export type Preview = Readonly<Record<string, string | number>>;

/** What is being made, by URL: however many ask, it is fetched once. */
const comingOf = held(() => new Map<string, Promise<Preview>>());

/**
 * What a URL leads to, as its page says.
 *
 * @param allowance of whoever wants to know.
 * @throws MatrixError M_INVALID_PARAM of what is no URL of the web; M_FORBIDDEN if the operator wants none of it, or it
 *   is at an address that is not to be reached; M_UNKNOWN (502) if nothing comes from there.
 * @spec client-server-api#get_matrixclientv1mediapreview_url
 */
export async function previewOf(
  hs: Homeserver,
  text: string,
  allowance: Allowance,
): Promise<Preview> {
  const url = wantedUrl(hs, text);
  const urlHash = createHash("sha256").update(url.href).digest("base64url");
  const known = await findPreview(hs.sql, urlHash, hs.now() - FRESH_MS);
  if (known !== undefined) return JSON.parse(known) as Preview;
  const coming = comingOf(hs);
  let made = coming.get(urlHash);
  if (!made) {
    const making = makePreview(hs, url, { urlHash, allowance });
    made = making.finally(() => coming.delete(urlHash));
    coming.set(urlHash, made);
  }
  return await made;
}

function wantedUrl(hs: Homeserver, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || text.length > MOST_URL_CHARACTERS) {
    throw new MatrixError("M_INVALID_PARAM", "url: must be a URL of the web");
  }
  if (url.username !== "" || url.password !== "") {
    throw new MatrixError("M_INVALID_PARAM", "url: must name no user");
  }
  if (isDenied(hs, url)) {
    throw new MatrixError("M_FORBIDDEN", "This server shows nothing of that host");
  }
  url.hash = "";
  return url;
}

/** Whether the operator wants nothing of a host, by whatever way one comes to it. */
function isDenied(hs: Homeserver, url: URL): boolean {
  // A name with the root's dot behind it leads to the same host.
  const host = url.hostname.replace(/\.$/, "");
  return hs.config.previews.deniedHosts.some((it) => matchesGlob(it.toLowerCase(), host));
}

async function makePreview(
  hs: Homeserver,
  url: URL,
  { urlHash, allowance }: { readonly urlHash: string; readonly allowance: Allowance },
): Promise<Preview> {
  const answer = await fetchPage(hs, url);
  const type = answer.headers.get("content-type")?.toLowerCase() ?? "";
  const preview = type.startsWith("image/")
    ? pictureFacts(await keepPicture(hs, answer.body, { declaredType: type, allowance }))
    : await pageFacts(hs, answer, { type, allowance });
  await insertPreview(hs.sql, { urlHash, preview: JSON.stringify(preview), madeMs: hs.now() });
  return preview;
}

async function fetchPage(hs: Homeserver, url: URL): Promise<OutboundAnswer> {
  try {
    const answer = await get(hs, url, MOST_PAGE_BYTES);
    if (answer.status >= 200 && answer.status < 300) return answer;
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error;
    if (error.fault === "forbidden-address") {
      throw new MatrixError("M_FORBIDDEN", "This URL is at an address that is not to be reached");
    }
  }
  throw new MatrixError("M_UNKNOWN", "Nothing could be fetched from this URL", { status: 502 });
}

async function pageFacts(
  hs: Homeserver,
  page: OutboundAnswer,
  { type, allowance }: { readonly type: string; readonly allowance: Allowance },
): Promise<Preview> {
  if (!/^(text\/html|application\/xhtml\+xml)\b/.test(type)) return {};
  const charset = /charset="?([^\s;"]+)/.exec(type)?.[1];
  // What reads pages takes memory, and most servers are never asked to.
  const { readPage } = await import("./read-page.ts");
  const facts = new Map<string, string>(readPage(page.body, charset));
  const image = facts.get("og:image");
  for (const name of facts.keys()) if (name.startsWith("og:image")) facts.delete(name);
  const at = { pageUrl: page.url, allowance };
  const picture = image === undefined ? undefined : await pictureAt(hs, image, at);
  return { ...Object.fromEntries(facts), ...pictureFacts(picture) };
}

/** The picture that a page names, if it can be had. */
async function pictureAt(
  hs: Homeserver,
  image: string,
  { pageUrl, allowance }: { readonly pageUrl: string; readonly allowance: Allowance },
): Promise<KeptPicture | undefined> {
  if (!URL.canParse(image, pageUrl)) return undefined;
  try {
    const { status, headers, body } = await get(hs, new URL(image, pageUrl), MOST_PICTURE_BYTES);
    const declaredType = headers.get("content-type");
    return status === 200 ? await keepPicture(hs, body, { declaredType, allowance }) : undefined;
  } catch (error) {
    // A page without its picture is better than nothing.
    if (error instanceof OutboundError || error instanceof MatrixError) return undefined;
    throw error;
  }
}

function pictureFacts(picture: KeptPicture | undefined): Preview {
  if (!picture) return {};
  return {
    "og:image": picture.uri,
    "og:image:type": picture.contentType,
    "og:image:width": picture.width,
    "og:image:height": picture.height,
    "matrix:image:size": picture.sizeBytes,
  };
}

async function get(hs: Homeserver, url: URL, mostBytes: number): Promise<OutboundAnswer> {
  const to = destinationOfUrl(url);
  if (!to || isDenied(hs, url)) throw new OutboundError("redirect", "no URL that may be fetched");
  return await sendRequest(hs, {
    ...to,
    purpose: "preview",
    method: "GET",
    headers: { accept: "text/html, image/*;q=0.9, */*;q=0.5", "user-agent": "Archipel (preview)" },
    timeoutMs: TIMEOUT_MS,
    mostBytes,
    mostRedirects: MOST_REDIRECTS,
    mayLeadTo: (next) => !isDenied(hs, next),
  });
}
