"use strict";
/* Fetches the page again while it is visible, and swaps the regions with data-live that have changed. */
(() => {
  const seconds = Number(document.body.dataset.liveSeconds);
  if (!seconds) return;
  const button = document.querySelector("[data-pause]");
  let paused = false, etag = "", wait = seconds, timer = 0;

  const isBusy = () => {
    const active = document.activeElement;
    const typing = active && active.closest("[data-live]") && active.matches("input, select, textarea");
    return typing || String(document.getSelection()) !== "";
  };

  const swap = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const region of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(region.id);
      if (!other || other.innerHTML === region.innerHTML) continue;
      const open = [...region.querySelectorAll("details")].map((one) => one.open);
      const focused = region.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      region.innerHTML = other.innerHTML;
      region.querySelectorAll("details").forEach((one, index) => { one.open = open[index] ?? one.open; });
      if (focused) region.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
      region.dispatchEvent(new CustomEvent("swapped", { bubbles: true }));
    }
  };

  const poll = async () => {
    if (!paused && !document.hidden && !isBusy()) {
      try {
        const response = await fetch(location.href, { headers: etag ? { "If-None-Match": etag } : {}, cache: "no-store" });
        if (response.status === 401) { location.reload(); return; }
        if (response.ok) { etag = response.headers.get("ETag") || ""; swap(await response.text()); }
        wait = response.ok || response.status === 304 ? seconds : Math.min(wait * 2, 60);
        document.body.classList.toggle("stale", !(response.ok || response.status === 304));
      } catch {
        wait = Math.min(wait * 2, 60);
        document.body.classList.add("stale");
      }
    }
    timer = setTimeout(poll, wait * 1000);
  };

  const toggle = () => {
    paused = !paused;
    button.textContent = paused ? "Continue the live update" : "Pause the live update";
    button.setAttribute("aria-pressed", String(paused));
  };

  if (button) { button.hidden = false; button.addEventListener("click", toggle); }
  document.addEventListener("nightferry:pause", toggle);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { clearTimeout(timer); poll(); } });
  timer = setTimeout(poll, wait * 1000);
})();
