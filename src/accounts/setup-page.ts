import { escapedHtml as escaped, htmlPage as page } from "#src/kit/html-page.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";

/** The form in which the first administrator chooses a name and a password. */
export function setupForm(it: {
  readonly server: ServerName;
  readonly token: string;
  readonly minPasswordLength: number;
  /** What was wrong with the last try. */
  readonly fault?: string;
  readonly username?: string;
}): string {
  return page(
    "First administrator",
    `<h1>First administrator of ${escaped(it.server)}</h1>
${it.fault === undefined ? "" : `<p role="alert">${escaped(it.fault)}</p>`}
<form method="post" action="setup">
<input type="hidden" name="token" value="${escaped(it.token)}">
<label>User name
<input name="username" required autofocus autocomplete="username" autocapitalize="none" spellcheck="false" value="${escaped(it.username ?? "")}"></label>
<label>Password
<input name="password" type="password" required minlength="${it.minPasswordLength}" autocomplete="new-password"></label>
<button>Make the account</button>
</form>`,
  );
}

/** Says that the administrator has been made. */
export function setupDone(userId: UserId): string {
  return page(
    "Done",
    `<h1>Done</h1>
<p>You can log in as <strong>${escaped(userId)}</strong> now, with any Matrix client. This page cannot be used again.</p>`,
  );
}

/** Says that the link does nothing. */
export function setupOver(): string {
  return page(
    "Not valid",
    `<h1>This link is not valid</h1>
<p>It has been used, or the server has an administrator already. As long as it has none, it shows a new link whenever it starts.</p>`,
  );
}
