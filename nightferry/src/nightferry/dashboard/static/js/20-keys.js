/* Keys; the page "Help" lists them. They have no effect while somebody types. */
(() => {
  const base = document.body.dataset.base;
  const places = { n: "", r: "runs", e: "executions", p: "problems", s: "schedules", f: "files", t: "tasks", h: "help" };
  let prefix = false;

  const move = (step) => {
    const rows = [...document.querySelectorAll("a.row")];
    const next = rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(document.activeElement) + step))];
    if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
  };

  const showFailed = () => {
    const select = document.querySelector(".filter [name=outcome]");
    if (!select) return;
    select.value = select.value === "failed" ? "" : "failed";
    select.form.requestSubmit();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    const after = prefix;
    prefix = false;
    if (after && event.key in places) { location.href = base + places[event.key]; return; }
    switch (event.key) {
      case "g": prefix = true; break;
      case "j": move(1); break;
      case "k": move(-1); break;
      case "f": showFailed(); break;
      case "p": document.dispatchEvent(new Event("nightferry:pause")); break;
      case "?": location.href = `${base}help`; break;
      case "/": event.preventDefault(); document.querySelector(".find input").focus(); break;
      default: return;
    }
  });
})();

/* Offers the browser's own time zone, which the server does not know. */
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const select = document.querySelector("footer [name=zone]");
  if (select && zone && ![...select.options].some((option) => option.value === zone)) select.add(new Option(zone, zone));
})();

/* On a phone, the fields of a filter are folded, so that the first screen has rows. */
if (matchMedia("(max-width: 47.99rem)").matches) {
  document.querySelectorAll("details.filters").forEach((one) => { one.open = false; });
}
