import { hash } from "node:crypto";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 26rem; margin: 12vh auto; padding: 0 1rem; }
label { display: block; margin: 1rem 0; }
input { display: block; width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; }
button { padding: .5rem 1.5rem; font: inherit; }
[role=alert] { border-left: .25rem solid #c33; padding-left: .75rem; }`;

/** The headers of the page: it loads nothing, nobody may frame it, and its address, a secret, goes nowhere. */
export const SETUP_HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": [
    "default-src 'none'",
    `style-src 'sha256-${hash("sha256", STYLE, "base64")}'`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
} as const;

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

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>${STYLE}</style>
${body}
</html>
`;
}

const ENTITIES = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&quot;"],
  ["'", "&#39;"],
]);

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (it) => ENTITIES.get(it) ?? it);
}
