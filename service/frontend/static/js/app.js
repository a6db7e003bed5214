// Puts the page together.

import { Away } from "./api.js";
import { banner } from "./banner.js";
import { Connection } from "./connection.js";
import { ago, h, say } from "./dom.js";
import { Notices } from "./notices.js";
import { Router } from "./router.js";
import { Session } from "./session.js";
import { account } from "./views/account.js";
import { documentView } from "./views/document.js";
import { health } from "./views/health.js";
import { jobs } from "./views/jobs.js";
import { project } from "./views/project.js";
import { projects } from "./views/projects.js";

const ID = "([0-9a-f-]{36})";
const session = new Session();
const connection = new Connection();
const notices = new Notices(document.getElementById("notices"));
const page = { session, connection, notices };
const router = new Router(document.getElementById("main"), page, [
  { path: /^\/$/, show: health, open: true, tab: "health" },
  { path: /^\/projects$/, show: projects, tab: "projects" },
  { path: new RegExp(`^/projects/${ID}$`), show: project, tab: "projects" },
  { path: new RegExp(`^/documents/${ID}$`), show: documentView, tab: "projects" },
  { path: /^\/jobs$/, show: jobs, tab: "jobs" },
  { path: /^\/account$/, show: account, tab: "account" },
]);

// The skip link must not become an address: those after the # are views.
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});

function signedInAs() {
  const link = document.getElementById("who");
  const { who } = session;
  link.replaceChildren(
    ...(who ? [h("span", { class: "tenant" }, who.tenant.slug), h("span", { class: "role" }, who.user.role)] : ["Sign in"]),
  );
  link.setAttribute("aria-label", who ? `Account: ${who.user.email} of ${who.tenant.slug}` : "Sign in");
}

session.addEventListener("change", (event) => {
  signedInAs();
  if (event.detail.reason) notices.tell(event.detail.reason);
  else notices.clear();
  if ((location.hash.slice(1) || "/") === "/") return; // nobody needs to be signed in there
  // A session that ends takes nothing away that somebody is typing: the view goes once the dialog is closed.
  const dialog = document.querySelector("dialog[open]");
  if (dialog) dialog.addEventListener("close", () => router.show({ moved: true }), { once: true });
  else router.show({ moved: true });
});

async function resume() {
  try {
    await session.resume();
  } catch (error) {
    if (!(error instanceof Away)) notices.fail(error);
  }
}

banner(document.getElementById("banner"), connection, notices);
connection.addEventListener("back", async () => {
  // What could not be read while it was away is read now; a dialog is not torn from under somebody's hands.
  if (!session.signedIn) await resume();
  else if (document.querySelector("main .problem") && !document.querySelector("dialog[open]")) router.show();
});

setInterval(
  () =>
    document.querySelectorAll("time").forEach((one) => {
      say(one, ago(new Date(one.dateTime)));
    }),
  30_000,
);
signedInAs();
connection.start();
await resume();
router.start();
if (history.state?.loads) history.replaceState(null, ""); // boot.js: the page is here, and whole
