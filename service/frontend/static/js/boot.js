// Not a module: it is there when a module is not. A browser drops what it is loading when the machine's network changes, and
// that is what happens whenever a container starts or ends beside it. A page that came in parts is loaded again, three times
// at most; app.js puts the count away.
"use strict";
(() => {
  const LIMIT = 3;
  let failed = false;

  function again() {
    const loads = history.state?.loads ?? 0;
    if (loads < LIMIT) {
      history.replaceState({ loads: loads + 1 }, "");
      location.reload();
    } else {
      document.getElementById("incomplete").hidden = false;
    }
  }

  // Of an element that cannot be loaded the error does not bubble; it can be seen on its way down.
  addEventListener(
    "error",
    (event) => {
      const what = event.target;
      if (failed || !(what instanceof HTMLScriptElement || (what instanceof HTMLLinkElement && what.rel === "stylesheet")))
        return;
      failed = true;
      if (document.readyState === "complete") again();
      else addEventListener("load", again);
    },
    true,
  );
})();
