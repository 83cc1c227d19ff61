// <textarea data-editor data-variables="UserName,Mobile"></textarea>: an editor for the HTML of mails.
//
// Without it the textarea still takes HTML. Pictures are linked, not uploaded: a mail reader must reach them.

const EDITORS = "textarea[data-editor]";
const WHOLE_DOCUMENT = /<(!doctype|html|head|body)[\s>]/i;
const settings = (name) => document.querySelector(`meta[name=${name}]`)?.content;
let library;

function load() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = settings("hugerte");
    script.onload = () => resolve(window.hugerte);
    script.onerror = reject;
    document.head.append(script);
  });
  return library;
}

function speak(hugerte) {
  const words = document.getElementById("editor-words");
  if (!words) return "en";
  const language = document.documentElement.lang;
  hugerte.addI18n(language, JSON.parse(words.textContent));
  return language;
}

// The editor knows only what stands inside <body>: it would throw a document's head and its styles away.
// So a whole document is edited as source, and so is whatever the customer likes to edit that way.
function editAsSource(textarea) {
  const note = document.createElement("span");
  note.textContent = settings("hugerte-source");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-sm";
  button.textContent = settings("hugerte-visual");
  const bar = document.createElement("div");
  bar.className = "form-hint d-flex";
  bar.append(note, button);
  textarea.after(bar);

  const judge = () => {
    const whole = WHOLE_DOCUMENT.test(textarea.value);
    note.hidden = !whole;
    button.hidden = whole;
  };
  const stop = new AbortController();
  textarea.addEventListener("input", judge, { signal: stop.signal });
  button.addEventListener("click", () => {
    stop.abort();
    bar.remove();
    textarea.classList.remove("font-monospace");
    delete textarea.dataset.edited;
    edit(textarea);
  });
  textarea.classList.add("font-monospace");
  textarea.spellcheck = false;
  judge();
}

function sourceButton(editor, textarea) {
  editor.ui.registry.addButton("source", {
    icon: "sourcecode",
    tooltip: "Source code",
    onAction: () => {
      editor.save();
      editor.remove();
      editAsSource(textarea);
      textarea.focus();
    },
  });
}

function variablesMenu(editor, textarea) {
  const names = (textarea.dataset.variables ?? "").split(",").map((name) => name.trim()).filter(Boolean);
  if (!names.length) return;
  editor.ui.registry.addMenuButton("variables", {
    text: textarea.dataset.variablesLabel ?? settings("hugerte-variables"),
    fetch: (show) =>
      show(names.map((name) => ({
        type: "menuitem",
        text: `{${name}}`,
        onAction: () => editor.insertContent(`{${name}}`),
      }))),
  });
}

async function edit(textarea) {
  if (textarea.dataset.edited) return;
  textarea.dataset.edited = "true";
  if (WHOLE_DOCUMENT.test(textarea.value)) {
    editAsSource(textarea);
    return;
  }
  const hugerte = await load();
  const dark = document.documentElement.dataset.bsTheme === "dark";
  const base = settings("hugerte").replace(/\/[^/]*$/, "");
  await hugerte.init({
    target: textarea,
    base_url: base,
    suffix: ".min",
    language: speak(hugerte),
    skin: dark ? "oxide-dark" : "oxide",
    content_css: dark ? "dark" : "default",
    plugins: "lists link image table autolink",
    toolbar: "undo redo | blocks | bold italic underline forecolor | alignleft aligncenter alignright | "
      + "bullist numlist | link image table | variables | source",
    toolbar_mode: "wrap",
    menubar: false,
    promotion: false,
    branding: false,
    height: Number(textarea.dataset.height ?? 480),
    // What the customer wrote is what is reviewed, hashed and sent.
    convert_urls: false,
    entity_encoding: "raw",
    verify_html: false,
    valid_elements: "*[*]",
    valid_children: "+body[style]",
    allow_conditional_comments: true, // what Outlook alone reads
    paste_data_images: false,
    image_uploadtab: false,
    setup(editor) {
      variablesMenu(editor, textarea);
      sourceButton(editor, textarea);
      editor.on("change input undo redo", () => {
        editor.save();
        textarea.dispatchEvent(new Event("input", { bubbles: true }));
      });
    },
  });
}

async function restyle() {
  if (!library) return;
  const hugerte = await load();
  for (const editor of [...hugerte.get()]) {
    const textarea = editor.getElement();
    editor.save();
    editor.remove();
    delete textarea.dataset.edited;
    edit(textarea);
  }
}

function editAll(root) {
  if (root.matches?.(EDITORS)) edit(root);
  for (const textarea of root.querySelectorAll(EDITORS)) edit(textarea);
}

editAll(document);
document.addEventListener("htmx:load", (event) => editAll(event.detail.elt));
document.documentElement.addEventListener("mailpush:theme", restyle);
