import { escapedHtml as escaped } from "#src/kit/html-page.ts";
import type { Mail } from "#src/outbound/send-mail.ts";

/** Something unread, as an e-mail tells it. */
export type MailItem = {
  readonly roomId: string;
  readonly roomName: string;
  readonly sender: string;
  readonly text: string;
  readonly link: string;
};

type Words = Omit<Mail, "to" | "unsubscribeUrl">;

/** Asks who has an address whether they want to be told there. */
export function confirmationMail(it: {
  readonly userId: string;
  readonly server: string;
  readonly link: string;
}): Words {
  const { userId, server, link } = it;
  const asked = `${userId} wants to be told by e-mail at this address of what is unread on ${server}.`;
  const otherwise = "If that is not you, do nothing: no more e-mails will come.";
  return {
    subject: `Do you want e-mails from ${oneLine(server)}?`,
    text: `${asked}\n\nTo agree, open\n${link}\n\n${otherwise}\n`,
    html: [
      `<p>${escaped(asked)}</p>`,
      `<p><a href="${escaped(link)}">To agree, open this page.</a></p>`,
      `<p>${otherwise}</p>`,
    ].join("\n"),
  };
}

/** Tells of what is unread, by rooms. */
export function unreadMail(
  items: readonly MailItem[],
  it: { readonly server: string; readonly stopLink: string },
): Words {
  const { server, stopLink } = it;
  const rooms = [...Map.groupBy(items, ({ roomId }) => roomId).values()];
  const names = rooms.map(([first]) => oneLine(first?.roomName ?? ""));
  const [name = server] = names;
  const where = names.length > 1 ? `${name} and ${names.length - 1} more` : name;
  const stop = `You get this because you asked ${server} for it. To get no more, open`;
  return {
    subject: `Unread in ${where}`,
    text: `${rooms.map(roomText).join("\n\n")}\n\n-- \n${stop}\n${stopLink}\n`,
    html: `${rooms.map(roomHtml).join("\n")}
<p><small>${escaped(stop)} <a href="${escaped(stopLink)}">this page</a>.</small></p>`,
  };
}

function roomText(items: readonly MailItem[]): string {
  const lines = items.map(({ sender, text }) => `${sender}: ${text}`);
  return [items[0]?.roomName, ...lines, items.at(-1)?.link].join("\n");
}

function roomHtml(items: readonly MailItem[]): string {
  const lines = items.map(
    ({ sender, text }) => `<p><strong>${escaped(sender)}</strong>: ${escaped(text)}</p>`,
  );
  const link = escaped(items.at(-1)?.link ?? "");
  const title = `<h3><a href="${link}">${escaped(items[0]?.roomName ?? "")}</a></h3>`;
  return [title, ...lines].join("\n");
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, 100);
}
