import { hash } from "node:crypto";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { escapedHtml as escaped, htmlPage, PAGE_HEADERS } from "#src/kit/html-page.ts";

/** Tells the client, which has opened the page, that it can go on. @spec client-server-api#fallback */
const DONE = `if (window.onAuthDone) window.onAuthDone();
else if (window.opener && window.opener.postMessage) window.opener.postMessage("authDone", "*");`;

/** Logs in, and gives the client what that has answered. @spec client-server-api#login-fallback */
const LOG_IN = `const form = document.querySelector("form");
const fault = document.querySelector("[role=alert]");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  fault.hidden = true;
  const fields = new FormData(form);
  const asked = new URLSearchParams(location.search);
  const device = {};
  for (const name of ["device_id", "initial_device_display_name"]) {
    if (asked.has(name)) device[name] = asked.get(name);
  }
  const identifier = { type: "m.id.user", user: fields.get("user") };
  const body = { type: "m.login.password", identifier, password: fields.get("password"), ...device };
  const response = await fetch("/_matrix/client/v3/login", { method: "POST", body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) {
    fault.textContent = answer.error;
    fault.hidden = false;
  } else if (window.matrixLogin && window.matrixLogin.onLogin) window.matrixLogin.onLogin(answer);
  else if (window.onLogin) window.onLogin(answer);
});`;

function headersWith(script: string): Readonly<Record<string, string>> {
  const policy = PAGE_HEADERS["content-security-policy"];
  const digest = hash("sha256", script, "base64");
  return {
    ...PAGE_HEADERS,
    "content-security-policy": `${policy}; script-src 'sha256-${digest}'; connect-src 'self'`,
  };
}

export const DONE_HEADERS = headersWith(DONE);
export const LOG_IN_HEADERS = headersWith(LOG_IN);

/** The page that says that a stage has been completed. */
export function stageDone(): string {
  return htmlPage("Done", `<h1>Done</h1>\n<p>Go back to your app.</p>\n<script>${DONE}</script>`);
}

/** The page on which a stage is completed, with what was wrong with the last try. */
export function stageForm(
  hs: Homeserver,
  it: { readonly stage: string; readonly session: string; readonly fault?: string },
): string {
  const { stage, session, fault } = it;
  return htmlPage(
    "Before you go on",
    `<h1>Before you go on</h1>
${fault === undefined ? "" : `<p role="alert">${escaped(fault)}</p>`}
<form method="post">
<input type="hidden" name="session" value="${escaped(session)}">
${fieldsOf(hs, stage)}
<button>${stage === "m.login.terms" ? "I agree" : "Go on"}</button>
</form>`,
  );
}

function fieldsOf(hs: Homeserver, stage: string): string {
  switch (stage) {
    case "m.login.terms":
      return `<ul>${hs.config.registration.terms.map(termOf).join("\n")}</ul>`;
    case "m.login.registration_token":
      return `<label>Registration token\n<input name="token" required autocomplete="off"></label>`;
    case "m.login.password":
      return `<label>Password
<input name="password" type="password" required autocomplete="current-password"></label>`;
    default:
      return "";
  }
}

function termOf({ url, name }: { readonly url: string; readonly name: string }): string {
  return `<li><a href="${escaped(url)}" target="_blank" rel="noopener">${escaped(name)}</a></li>`;
}

/** The page that says that there is nothing to complete. */
export function stageOver(): string {
  return htmlPage(
    "Not valid",
    "<h1>This has expired</h1>\n<p>Go back to your app, and begin again.</p>",
  );
}

/** The page on which one logs in for a client that cannot ask for a password. */
export function logInForm(hs: Homeserver): string {
  return htmlPage(
    "Log in",
    `<h1>Log in to ${escaped(hs.name)}</h1>
<p role="alert" hidden></p>
<form>
<label>User name
<input name="user" required autofocus autocomplete="username" autocapitalize="none" spellcheck="false"></label>
<label>Password
<input name="password" type="password" required autocomplete="current-password"></label>
<button>Log in</button>
</form>
<script>${LOG_IN}</script>`,
  );
}
