"use strict";
// The pages work without this file, but for pictures of numbers, the theme, and completion.
document.addEventListener("click", function (event) {
  var button = event.target.closest("button");
  if (button && button.classList.contains("theme")) {
    var next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try { localStorage.setItem("theme", next); } catch (e) { /* only for this page, then */ }
    curves(document, true);
  }
  if (button && button.classList.contains("menu")) {
    var open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    document.getElementById("nav").classList.toggle("open", open);
  }
  var line = event.target.closest("[data-line]");
  if (line) { event.preventDefault(); goTo(document.getElementById("text"), Number(line.dataset.line)); }
});
document.addEventListener("submit", function (event) {
  var text = event.target.dataset.confirm;
  if (text && !window.confirm(text)) { event.preventDefault(); }
});
document.addEventListener("keydown", function (event) {
  var at = document.activeElement;
  var typing = at && (/^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.isContentEditable);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    var search = document.getElementById("search");
    if (search) {
      event.preventDefault();
      document.getElementById("nav").classList.add("open");
      search.focus();
    }
  }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && at && at.id === "q") { at.form.requestSubmit(); }
});
function goTo(area, line) {
  var start = 0, lines = area.value.split("\n");
  for (var i = 0; i < line - 1 && i < lines.length; i++) { start += lines[i].length + 1; }
  area.focus();
  area.setSelectionRange(start, start + (lines[line - 1] || "").length);
  area.scrollTop = Math.max(0, (line - 4) * parseFloat(getComputedStyle(area).lineHeight));
}

var COLORS = { light: ["#1d5fa8", "#a3480c", "#7a2e8e", "#136b3a"], dark: ["#7db8ff", "#ffb27d", "#dca3ee", "#7fd8a2"] };
function curves(root, again) {
  if (!window.uPlot) { return; }
  root.querySelectorAll("[data-curve]").forEach(function (figure) {
    if (figure.firstChild && !again) { return; }
    figure.textContent = "";
    var data = JSON.parse(figure.dataset.curve), theme = document.documentElement.dataset.theme;
    var ink = theme === "dark" ? "#c8ccd4" : "#3c4250", grid = theme === "dark" ? "#333a48" : "#e2e5ea";
    var axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
    new uPlot({
      width: Math.max(280, figure.clientWidth), height: 200, tzDate: function (ts) { return uPlot.tzDate(new Date(ts * 1e3), "Etc/UTC"); },
      series: [{ label: "UTC" }].concat(data.series.map(function (s, i) {
        return { label: s.label, stroke: COLORS[theme][i % 4], width: 2, points: { show: data.times.length < 60 } };
      })),
      axes: [axis, Object.assign({ size: 60 }, axis)]
    }, [data.times].concat(data.series.map(function (s) { return s.values; })), figure);
  });
}
document.addEventListener("DOMContentLoaded", function () { curves(document, false); completion(); editor(); });
document.addEventListener("htmx:afterSwap", function (event) { curves(event.target, false); });
// no stream, or one that ended before the work did: the page asks every second instead
document.addEventListener("htmx:sseError", function (event) {
  var part = event.target, url = part.dataset && part.dataset.poll;
  if (!url) { return; }
  delete part.dataset.poll;
  event.detail.source.close();
  ["hx-ext", "sse-connect", "sse-swap", "sse-close"].forEach(function (name) { part.removeAttribute(name); });
  part.setAttribute("hx-get", url); part.setAttribute("hx-trigger", "every 1s"); part.setAttribute("hx-swap", "innerHTML");
  htmx.process(part);
});
var later;
window.addEventListener("resize", function () { clearTimeout(later); later = setTimeout(function () { curves(document, true); }, 200); });

function editor() {
  document.querySelectorAll("[data-editor]").forEach(function (area) {
    var before = area.value, leaving = false;
    area.form.addEventListener("submit", function () { leaving = true; });
    window.addEventListener("beforeunload", function (event) {
      if (!leaving && area.value !== before) { event.preventDefault(); }
    });
  });
}

function completion() {
  var area = document.querySelector("textarea[data-names]");
  if (!area) { return; }
  var names = null, list = document.createElement("ul"), chosen = -1;
  list.className = "names"; list.id = "names"; list.setAttribute("role", "listbox"); list.setAttribute("aria-label", "Names"); list.hidden = true;
  area.after(list);
  area.setAttribute("aria-autocomplete", "list"); area.setAttribute("aria-controls", "names");
  function word() { return (/[A-Za-z0-9_."]*$/.exec(area.value.slice(0, area.selectionStart)) || [""])[0]; }
  function found() {
    var typed = word().toLowerCase(), own = [];
    if (typed.length < 2 || !names) { return []; }
    Object.keys(names).forEach(function (table) {
      if (table.indexOf(typed) >= 0) { own.push(table); }
    });
    var used = Object.keys(names).filter(function (t) { return area.value.indexOf(t) >= 0; });
    used.forEach(function (t) { names[t].forEach(function (c) { if (c.toLowerCase().indexOf(typed) === 0 && c !== typed && own.indexOf(c) < 0) { own.unshift(c); } }); });
    return own.slice(0, 8);
  }
  function show() {
    var own = found();
    list.textContent = ""; chosen = -1; list.hidden = !own.length;
    own.forEach(function (name, i) {
      var item = document.createElement("li");
      item.textContent = name; item.id = "name" + i; item.setAttribute("role", "option"); item.setAttribute("aria-selected", "false");
      item.addEventListener("mousedown", function (event) { event.preventDefault(); take(name); });
      list.append(item);
    });
  }
  function take(name) {
    var at = area.selectionStart, start = at - word().length;
    area.setRangeText(name, start, at, "end");
    list.hidden = true;
    area.focus();
  }
  function mark(step) {
    var items = list.children;
    chosen = (chosen + step + items.length) % items.length;
    for (var i = 0; i < items.length; i++) { items[i].setAttribute("aria-selected", String(i === chosen)); }
    area.setAttribute("aria-activedescendant", items[chosen].id);
  }
  area.addEventListener("focus", function () {
    if (names === null) { names = {}; fetch(area.dataset.names).then(function (r) { return r.json(); }).then(function (all) { names = all; if (document.activeElement === area && area.value) { show(); } }); }
  });
  area.addEventListener("input", show);
  area.addEventListener("blur", function () { list.hidden = true; });
  area.addEventListener("keydown", function (event) {
    if (list.hidden) { return; }
    if (event.key === "ArrowDown") { event.preventDefault(); mark(1); }
    else if (event.key === "ArrowUp" && chosen >= 0) { event.preventDefault(); mark(-1); }
    else if (event.key === "Enter" && chosen >= 0) { event.preventDefault(); take(list.children[chosen].textContent); }
    else if (event.key === "Escape") { list.hidden = true; }
  });
}
