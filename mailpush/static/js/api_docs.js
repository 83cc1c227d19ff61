// The API's description as a page; light or dark as the rest of the pages.
(() => {
  const root = document.documentElement;
  const shade = () => root.classList.toggle("dark-mode", root.dataset.bsTheme === "dark");

  root.addEventListener("mailpush:theme", shade);
  shade();
  const docs = document.getElementById("docs");
  SwaggerUIBundle({
    url: docs.dataset.schema,
    domNode: docs,
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    filter: true,
    persistAuthorization: false, // a secret is not to stay in the browser
    validatorUrl: null, // asks nobody else
    onComplete: () => {
      const filter = docs.querySelector(".operation-filter-input");
      filter.placeholder = docs.dataset.filter;
      filter.setAttribute("aria-label", docs.dataset.filter);
    },
  });
})();
