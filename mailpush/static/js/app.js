// Behaviour of the pages, bound to data attributes: pages work without it, with it they are quicker to use.
// Listeners sit on the document, so that what htmx swaps in needs no binding.

const bootstrap = () => window.tabler ?? window.bootstrap;

// ── Forms that lose something ask first: <form data-confirm="…"> or a button with it ──

const confirmed = new WeakSet();

function ask(text, asker, proceed) {
  const element = document.getElementById("confirm");
  const modal = bootstrap().Modal.getOrCreateInstance(element);
  document.getElementById("confirm-text").textContent = text;
  const button = element.querySelector("[data-confirmed]");
  button.dataset.label ??= button.textContent;
  button.textContent = asker?.textContent.trim() || button.dataset.label; // "Delete" says more than "Yes"
  button.onclick = () => {
    modal.hide();
    proceed();
  };
  // Who says no goes on where the question came up.
  element.addEventListener("hidden.bs.modal", () => asker?.focus(), { once: true });
  modal.show();
}

document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  const text = submitter?.dataset.confirm ?? form.dataset.confirm;
  if (!text || confirmed.delete(form)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  ask(text, submitter, () => {
    confirmed.add(form);
    form.requestSubmit(submitter);
  });
}, true);

// ── A form is sent once: its button waits. data-repeatable is for answers that leave the page standing (downloads) ──

document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (event.defaultPrevented || form.getAttribute("method")?.toLowerCase() !== "post") return;
  if (form.getAttribute("target") === "_blank" || "repeatable" in form.dataset) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (isHtmx(form)) return; // htmx says when it is done; see below
  form.dataset.sent = "true";
  // After the browser has read the form: a disabled button would not send its own name.
  setTimeout(() => wait(submitter), 0);
});

const isHtmx = (form) => ["hx-post", "hx-get", "hx-put", "hx-delete"].some((name) => form.hasAttribute(name));

function wait(button) {
  if (!button?.classList.contains("btn")) return;
  button.disabled = true;
  button.classList.add("btn-loading");
}

addEventListener("pageshow", (event) => {
  if (!event.persisted) return; // back from the next page, as it was left
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  for (const button of document.querySelectorAll(".btn-loading")) {
    button.disabled = false;
    button.classList.remove("btn-loading");
  }
});

// ── Copy ──

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await write(button.dataset.copy);
  button.classList.add("is-copied");
  button.title = button.dataset.copied;
  setTimeout(() => button.classList.remove("is-copied"), 2000);
});

async function write(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Over plain http browsers have no clipboard object.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// ── Filters: a change sends the form ──

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-autosubmit]");
  if (form) form.requestSubmit();
});

// ── One checkbox for all: <input type="checkbox" data-select-all="name of the others"> ──

document.addEventListener("change", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement) || box.type !== "checkbox") return;
  const scope = box.closest("form, table, .card") ?? document;
  if (box.dataset.selectAll) {
    for (const other of rows(scope, box.dataset.selectAll)) other.checked = box.checked;
    return;
  }
  const all = scope.querySelector(`[data-select-all="${CSS.escape(box.name)}"]`);
  if (!all) return;
  const chosen = rows(scope, box.name).filter((other) => other.checked).length;
  all.checked = chosen === rows(scope, box.name).length;
  all.indeterminate = chosen > 0 && !all.checked;
});

const rows = (scope, name) => [...scope.querySelectorAll(`input[type="checkbox"][name="${CSS.escape(name)}"]`)];

// ── Messages go by themselves ──

const toasts = document.getElementById("toasts");

const forget = (element, after) => setTimeout(() => element.remove(), after);

function say(text) {
  if ([...toasts.querySelectorAll("[data-text]")].some((shown) => shown.textContent === text)) return;
  const element = document.getElementById("toast").content.firstElementChild.cloneNode(true);
  element.querySelector("[data-text]").textContent = text;
  toasts.append(element);
  forget(element, 8000);
}

for (const element of toasts.querySelectorAll(".toast")) forget(element, Number(element.dataset.bsDelay));

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  say(toasts.dataset.passkeyFailed);
});

for (const failure of ["htmx:sendError", "htmx:responseError"]) {
  document.addEventListener(failure, () => say(toasts.dataset.serverLost));
}
