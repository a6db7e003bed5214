// A dialog that asks for the fields of a row and saves them. What the API finds wrong is shown at the field; that somebody
// else was faster is explained, with both versions side by side, and nothing is overwritten unless one says so.

import { Problem } from "./api.js";
import { confirm, open } from "./dialog.js";
import { h, unique } from "./dom.js";
import { fieldOf, problemBox } from "./problem.js";

// `fields`: [{ name, label, hint, kind: "line" | "text" | "choice", options, required, pattern, limit, rows, mono, half }].
// `save(values, changes)` does it and may throw; `latest()`, where a row may have changed meanwhile, reads it anew and has
// the next save meant for that version. Resolves to what `save` gave, or to null.
export function ask({ title, action, fields, values = {}, save, latest, wide = false, signal }) {
  return new Promise((resolve) => {
    let result = null;
    const inputs = new Map(fields.map((field) => [field.name, control(field, values[field.name])]));
    const said = h("div", { class: "said" });
    const submit = h("button", { type: "submit", class: "primary" }, action);
    const form = h(
      "form",
      { novalidate: true },
      said,
      [...inputs.values()].map((one) => one.row),
      h("div", { class: "actions" }, h("button", { type: "button", onclick: () => leave() }, "Cancel"), submit),
    );

    const now = () => Object.fromEntries([...inputs].map(([name, one]) => [name, one.input.value]));
    let began = now(); // as the browser has it: a text area knows one kind of line end only
    const changes = () => Object.fromEntries(Object.entries(now()).filter(([name, value]) => value !== began[name]));
    const changed = () => Object.keys(changes()).length > 0;
    const warn = (event) => {
      if (changed()) event.preventDefault();
    };
    addEventListener("beforeunload", warn);

    async function leave() {
      const lost = {
        title: "Discard your changes?",
        text: "What you have typed here is not saved.",
        action: "Discard",
        danger: true,
      };
      if (!changed() || (await confirm(lost))) dialog.close();
    }

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      said.replaceChildren();
      if (!complete(inputs)) return;
      if (latest && !changed()) {
        // nothing to save
        dialog.close();
        return;
      }
      busy(true);
      try {
        result = await save(now(), changes());
        dialog.close();
      } catch (error) {
        if (signal?.aborted) return;
        if (latest && error instanceof Problem && error.status === 412) await conflict(error);
        else refused(error);
      } finally {
        busy(false);
      }
    });

    function busy(is) {
      submit.disabled = is;
      form.setAttribute("aria-busy", String(is));
    }

    function refused(error) {
      said.replaceChildren(problemBox(error));
      const wrong = (error.errors ?? []).map((one) => [inputs.get(fieldOf(one)), one.detail]).filter(([one]) => one);
      for (const [one, detail] of wrong) one.wrong(detail);
      if (wrong.length) wrong[0][0].input.focus();
      else said.scrollIntoView({ block: "nearest" });
    }

    async function conflict(error) {
      let theirs;
      try {
        theirs = await latest();
      } catch (failure) {
        refused(failure);
        return;
      }
      const mine = changes();
      const differs = fields.filter(({ name }) => name in mine && mine[name] !== (theirs[name] ?? ""));
      const use = h("button", { type: "button" }, "Use theirs");
      const keep = h("button", { type: "button" }, "Keep mine");
      use.addEventListener("click", () => {
        take(theirs, [...inputs.keys()]);
        settle("This is the newest version now.");
      });
      keep.addEventListener("click", () => {
        take(
          theirs,
          [...inputs.keys()].filter((name) => !(name in mine)),
        );
        settle("Your changes stand on top of their version now. Saving makes them the newest.");
      });
      function settle(text) {
        said.replaceChildren(h("p", { role: "status" }, text));
        submit.focus();
      }
      const box = h(
        "div",
        { class: "problem", role: "alert" },
        h("p", { class: "problem-title" }, "Somebody was faster"),
        h(
          "p",
          {},
          `Since you opened this, it was saved as version ${theirs.row_version}. Yours is not saved, and not lost.`,
        ),
        h(
          "dl",
          { class: "differs" },
          differs.map((field) => [
            h("dt", {}, `${field.label}, theirs`),
            h(
              "dd",
              {},
              h("pre", { tabindex: "0", "aria-label": `${field.label}, theirs` }, theirs[field.name] || "(empty)"),
            ),
          ]),
        ),
        differs.length ? null : h("p", {}, "They changed other fields than you did."),
        h("p", { class: "trace" }, `Request ${error.requestId}`),
        h("div", { class: "actions start" }, use, keep),
      );
      said.replaceChildren(box);
      use.focus();
    }

    function take(row, names) {
      for (const name of names) inputs.get(name).input.value = row[name] ?? "";
      began = { ...began, ...Object.fromEntries(names.map((name) => [name, inputs.get(name).input.value])) };
    }

    const dialog = open({
      title,
      content: form,
      wide,
      signal,
      cancel: () => {
        if (!changed()) return true;
        leave();
        return false;
      },
      closed: () => {
        removeEventListener("beforeunload", warn);
        resolve(result);
      },
    });
    [...inputs.values()][0]?.input.focus();
  });
}

function control(field, value) {
  const id = unique("field");
  const shared = { id, name: field.name, required: field.required, maxlength: field.limit };
  let input;
  if (field.kind === "choice") {
    input = h(
      "select",
      shared,
      field.options.map((one) => h("option", { value: one }, one)),
    );
  } else if (field.kind === "text") {
    input = h("textarea", { ...shared, rows: field.rows ?? 4, class: field.mono ? "mono" : null, spellcheck: !field.mono });
  } else {
    input = h("input", { ...shared, type: "text", pattern: field.pattern, autocomplete: "off", spellcheck: "false" });
  }
  input.value = value ?? (field.kind === "choice" ? field.options[0] : "");
  const error = h("p", { id: `${id}-error`, class: "wrong" });
  const hint = field.hint ? h("p", { id: `${id}-hint`, class: "hint" }, field.hint) : null;
  input.setAttribute("aria-describedby", [hint && `${id}-hint`, `${id}-error`].filter(Boolean).join(" "));
  input.addEventListener("input", () => wrong(""));
  function wrong(text) {
    error.textContent = text;
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
  const row = h(
    "div",
    { class: field.half ? "field half" : "field" },
    h("label", { for: id }, field.label),
    input,
    hint,
    error,
  );
  return { input, row, wrong };
}

// What the browser itself can tell, said at the field.
function complete(inputs) {
  const bad = [...inputs.values()].filter((one) => !one.input.checkValidity());
  for (const one of bad)
    one.wrong(one.input.validity.valueMissing ? "This is needed." : "This is not of the form that is described.");
  bad[0]?.input.focus();
  return bad.length === 0;
}
