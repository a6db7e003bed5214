// In a file of its own: the page's policy allows no inline script.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // the default sends the document to a server on the internet
  presets: [SwaggerUIBundle.presets.apis],
});
