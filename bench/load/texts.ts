import { seededRandom } from "./arrivals.ts";

/** What is sent to be searched: sentences of words as frequent as words are, in two scripts. */
export type Text = { readonly body: string; readonly term: string };

const VOCABULARY = 20_000;
const SYLLABLES =
  "ka lo mi ter ran sol ve ni tu pra den gor fi ha bel cu mor ta ri es on wi zu kel pa".split(" ");

/** Common characters of Chinese texts, and further ones. */
const HAN = Array.from(
  "的一是不了在人有我他这中大来上个国和也子时道说出而要于就下得可你年生自会那后能对着事其里所去行过家十用发天如然作方成者多日都三小军二无同么经法当起与好看学进种将还分此心前面又定见只主没公从",
);
const FURTHER_HAN = 3_000;

const random = seededRandom(11);

/** A rank, by Zipf's law: the second most frequent half as often as the first. */
function rank(most: number): number {
  return Math.floor(most ** random()) - 1;
}

function word(index: number): string {
  let text = "";
  for (let rest = index + 30; rest > 0; rest = Math.floor(rest / SYLLABLES.length)) {
    text += SYLLABLES[rest % SYLLABLES.length];
  }
  return text;
}

function character(): string {
  const index = rank(FURTHER_HAN);
  return HAN[index] ?? String.fromCodePoint(0x4e00 + index);
}

/** A sentence and something of its middle that may be looked for. */
export function nextText(isChinese: boolean): Text {
  if (isChinese) {
    const characters = Array.from({ length: 12 + rank(40) }, character);
    const start = Math.floor(random() * (characters.length - 4));
    return {
      body: characters.join(""),
      term: characters.slice(start, start + 2 + Math.floor(random() * 3)).join(""),
    };
  }
  const words = Array.from({ length: 6 + rank(40) }, () => word(rank(VOCABULARY)));
  const start = Math.floor(random() * (words.length - 2));
  return { body: words.join(" "), term: words.slice(start, start + 2).join(" ") };
}
