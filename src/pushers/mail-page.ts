import { escapedHtml as escaped, htmlPage } from "#src/kit/html-page.ts";

/** Asks who has got an e-mail what they want. */
export function mailForm(it: {
  readonly token: string;
  readonly userId: string;
  readonly address: string;
}): string {
  return htmlPage(
    "E-mails",
    `<h1>E-mails to ${escaped(it.address)}</h1>
<p>Shall ${escaped(it.userId)} be told at this address of what is unread?</p>
<form method="post" action="mail">
<input type="hidden" name="token" value="${escaped(it.token)}">
<button name="wanted" value="yes">Yes</button>
<button name="wanted" value="no">No more e-mails</button>
</form>`,
  );
}

/** Says what has come of it. */
export function mailDone(isWanted: boolean): string {
  const text = isWanted
    ? "You will be told of what you have not read for a while."
    : "No more e-mails will come.";
  return htmlPage("Done", `<h1>Done</h1>\n<p>${text}</p>`);
}

/** Says that the link does nothing. */
export function mailOver(): string {
  return htmlPage(
    "Not valid",
    "<h1>This link is not valid</h1>\n<p>No e-mails come by it any more.</p>",
  );
}
