"""The one script of a report: sorting, search, tooltips, links to pictures where the service shows it. Reports carry it
inline; the service's CSP names it by its hash.

It lies here because jobs write it into reports and the service lets exactly it run. Without it a report is whole.
"""

import base64
import hashlib

SCRIPT = """
(function () {
  var all = function (chosen, within) { return Array.from((within || document).querySelectorAll(chosen)); };

  // A report lies in mails and on disks, too: its links to pictures live where the service shows it, and only there.
  var served = /^https?:$/.test(location.protocol) && location.pathname.indexOf("/reports/") === 0;
  document.documentElement.classList.add(served ? "served" : "alone");
  if (served) all("a[data-to]").forEach(function (link) {
    link.setAttribute("href", link.dataset.to);
    if (link.getAttribute("role") === "img") link.removeAttribute("role");
  });

  // Rows beyond the first few of a table are shown when all are asked for (a checkbox, no script), or found by the search.
  var fold = function (table) {
    var open = Number(table.dataset.open || 0);
    if (open) Array.from(table.tBodies[0].rows).forEach(function (row, i) { row.classList.toggle("rest", i >= open); });
  };

  all("table.sortable").forEach(function (table) {
    var body = table.tBodies[0];
    all("thead th[data-sort]", table).forEach(function (head) {
      var button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) button.appendChild(head.firstChild);
      head.appendChild(button);
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
        if (!head.hasAttribute("aria-sort") && head.dataset.sort === "text") down = 1;
        all("th[aria-sort]", table).forEach(function (other) { other.removeAttribute("aria-sort"); });
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
        fold(table);
      });
    });
  });

  all(".find").forEach(function (find) {
    var input = find.querySelector("input"), said = find.querySelector("output");
    var tables = all("table.classes", find.closest("section"));
    find.hidden = false;
    input.addEventListener("input", function () {
      var text = input.value.trim().toLowerCase(), hits = 0;
      tables.forEach(function (table, i) {
        table.classList.toggle("searching", text !== "");
        Array.from(table.tBodies[0].rows).forEach(function (row) {
          var hit = text !== "" && row.cells[0].textContent.toLowerCase().indexOf(text) >= 0;
          row.classList.toggle("hit", hit);
          if (hit && i === 0) hits += 1;
        });
      });
      said.textContent = text === "" ? "" : hits === 1 ? "1 class" : hits + " classes";
    });
  });

  // A tooltip for every mark of a chart; by keyboard the arrows go from mark to mark.
  var tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.appendChild(tip);
  var hide = function () { tip.hidden = true; };
  var show = function (mark) {
    var box = mark.getBoundingClientRect();
    tip.textContent = mark.getAttribute("aria-label");
    tip.hidden = false;
    var left = box.left + box.width / 2 - tip.offsetWidth / 2;
    tip.style.left = Math.max(4, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 4)) + scrollX + "px";
    tip.style.top = (box.top > tip.offsetHeight + 10 ? box.top - tip.offsetHeight - 8 : box.bottom + 8) + scrollY + "px";
  };
  all("svg.chart").forEach(function (chart) {
    var marks = all(".mark", chart);
    marks.forEach(function (mark, i) {
      var title = mark.querySelector("title");
      if (title) title.remove();
      mark.setAttribute("tabindex", i ? "-1" : "0");
      mark.addEventListener("mouseenter", function () { show(mark); });
      mark.addEventListener("mouseleave", hide);
      mark.addEventListener("focus", function () { show(mark); });
      mark.addEventListener("blur", hide);
      mark.addEventListener("keydown", function (event) {
        if (event.key === "Escape") return hide();
        var step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        var next = step && marks[i + step];
        if (!next) return;
        event.preventDefault();
        mark.setAttribute("tabindex", "-1");
        next.setAttribute("tabindex", "0");
        next.focus();
      });
    });
  });

  // Who follows the contents into a version that is folded sees it open.
  var open = function () {
    var target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    var folded = target && target.closest("details");
    if (folded && !folded.open) { folded.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
})();
"""


def csp_source() -> str:
    """The script as a source of `script-src`: 'sha256-…'."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
