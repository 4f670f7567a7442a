import sniffEncoding from "html-encoding-sniffer";
import { Parser } from "htmlparser2";

/** What a page says of itself, by the names of OpenGraph and with what stands for them where they are left out. */
export type PageFacts = ReadonlyMap<string, string>;

/** More properties, and longer ones, nobody shows. */
const MOST_PROPERTIES = 50;
const MOST_CHARACTERS = 1_000;
const MOST_NAME_CHARACTERS = 100;

/** Where a page says the same in other words, those that count less further behind. */
const STAND_INS: readonly (readonly [property: string, standIns: readonly string[]])[] = [
  ["og:title", ["twitter:title", "title"]],
  ["og:description", ["twitter:description", "description"]],
  ["og:image", ["og:image:url", "og:image:secure_url", "twitter:image", "image_src"]],
  ["og:site_name", ["application-name"]],
];

/**
 * Reads what an HTML page says of itself.
 *
 * @param charset what the page's server says that it is written in.
 * @see https://ogp.me
 */
export function readPage(bytes: Uint8Array, charset: string | undefined): PageFacts {
  const encoding = sniffEncoding(bytes, {
    ...(charset !== undefined && { transportLayerEncodingLabel: charset }),
    defaultEncoding: "UTF-8",
  });
  // What the web reads as nothing, since it is not safe to read.
  if (encoding === "replacement") return new Map();
  return factsIn(new TextDecoder(encoding).decode(bytes));
}

function factsIn(html: string): PageFacts {
  const said = new Map<string, string>();
  const note = (name: string | undefined, text: string | undefined) => {
    const value = text?.replace(/\s+/g, " ").trim();
    if (!name || name.length > MOST_NAME_CHARACTERS || !value) return;
    const key = name.toLowerCase();
    if (said.has(key) || said.size >= MOST_PROPERTIES) return;
    // What was cut, too, is to be text that every client can read.
    said.set(key, value.slice(0, MOST_CHARACTERS).toWellFormed());
  };
  let title: string | undefined;
  const parser = new Parser({
    onopentag(tag, { property, name, content, rel, href }) {
      if (tag === "meta") note(property ?? name, content);
      if (tag === "link" && rel === "image_src") note("image_src", href);
      if (tag === "title" && !said.has("title")) title = "";
    },
    ontext(text) {
      if (title !== undefined && title.length < MOST_CHARACTERS) title += text;
    },
    onclosetag(tag) {
      if (tag !== "title") return;
      note("title", title);
      title = undefined;
    },
  });
  parser.end(html);

  const facts = new Map([...said].filter(([name]) => name.startsWith("og:")));
  for (const [property, standIns] of STAND_INS) {
    const standIn = standIns.map((it) => said.get(it)).find((it) => it !== undefined);
    if (!facts.has(property) && standIn !== undefined) facts.set(property, standIn);
  }
  return facts;
}
