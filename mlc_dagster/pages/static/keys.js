// "/" goes to the search field, as on many sites; nothing else of the pages needs a script.
"use strict";
document.addEventListener("keydown", (event) => {
  const writing = event.target.closest("input, select, textarea");
  const field = document.getElementById("number");
  if (event.key === "/" && !writing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    field.focus();
    field.select();
  } else if (event.key === "Escape" && event.target === field) {
    field.blur();
  }
});
