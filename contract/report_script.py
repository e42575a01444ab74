"""The one script of a report: sorting of tables. Reports carry it inline; the service's CSP names it by its hash.

It lies here because jobs write it into reports and the service lets exactly it run. Without it a report is whole.
"""

import base64
import hashlib

SCRIPT = """
document.querySelectorAll("table.sortable").forEach(function (table) {
  var body = table.tBodies[0];
  table.querySelectorAll("thead th[data-sort]").forEach(function (head) {
    var button = document.createElement("button");
    button.type = "button";
    while (head.firstChild) button.appendChild(head.firstChild);
    head.appendChild(button);
    button.addEventListener("click", function () {
      var down = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
      if (!head.hasAttribute("aria-sort") && head.dataset.sort === "text") down = 1;
      table.querySelectorAll("th[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", down < 0 ? "descending" : "ascending");
      var value = function (row) { return row.cells[head.cellIndex].dataset.v; };
      var order = head.dataset.sort === "text"
        ? function (a, b) { return value(a) < value(b) ? -down : value(a) > value(b) ? down : 0; }
        : function (a, b) {
            var x = value(a), y = value(b);
            if (x === "" || y === "") return (x === "") - (y === "");
            return (x - y) * down;
          };
      Array.from(body.rows).sort(order).forEach(function (row) { body.appendChild(row); });
    });
  });
});
"""


def csp_source() -> str:
    """The script as a source of `script-src`: 'sha256-…'."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
