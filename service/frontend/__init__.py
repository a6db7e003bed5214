"""The web frontend: bundled files, no build step. It speaks to the API from the browser, as any other client would."""
