"use strict";
// Sorting of the node tables: the one thing that this page does by script.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const falling = head.getAttribute("aria-sort") !== "descending";
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const value = (row) => Number(row.cells[column].dataset.value ?? row.cells[column].textContent);
    const rows = [...body.rows].sort((a, b) => (value(a) - value(b)) * (falling ? -1 : 1));
    body.append(...rows);
  });
}
