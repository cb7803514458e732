/* Follows the log of a run: adds new rows while the page is visible, and keeps at most 2,000 of them.
   Who reads further above is not disturbed: the stream pauses, and continues at the last row when the end is in view. */
(() => {
  const list = document.querySelector("ol[data-stream]");
  const state = document.querySelector("[data-follow]");
  if (!list || !state) return;
  const most = 2000, near = 120, page = document.scrollingElement;
  const url = new URL(list.dataset.stream, location.href);
  let source = null, last = url.searchParams.get("after"), ended = false, reading = false, timer = 0;
  const waiting = [];

  const say = (text, label, action) => {
    state.textContent = `${text} `;
    if (!label) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", action);
    state.append(button);
  };

  const below = () => list.getBoundingClientRect().bottom + state.offsetHeight - innerHeight;
  const isAtEnd = () => below() < near;
  const scrollToEnd = () => scrollBy({ top: below() + 16, behavior: "instant" });

  const add = (rows, id) => {
    list.insertAdjacentHTML("beforeend", rows);
    last = id;
    for (let extra = list.childElementCount - most; extra > 0; extra--) list.firstElementChild.remove();
  };

  /* One event per frame, so that no task is long. */
  const work = () => {
    timer = 0;
    if (reading || !waiting.length) return;
    const [rows, id] = waiting.shift();
    add(rows, id);
    scrollToEnd();
    if (waiting.length) timer = requestAnimationFrame(work);
    else if (ended) say("The run has stopped. These are its last lines.", "Show the result", () => location.reload());
  };

  const receive = (event) => {
    waiting.push([event.data, event.lastEventId]);
    if (waiting.length > 50) { close(); waiting.length = 0; setTimeout(open, 0); return; }
    if (!timer) timer = requestAnimationFrame(work);
  };

  const close = () => { if (source) source.close(); source = null; };

  const open = () => {
    if (source || ended || reading || document.hidden) return;
    url.searchParams.set("after", last);
    source = new EventSource(url);
    source.onopen = () => say("Following the log.", "Pause", pause);
    source.onmessage = receive;
    source.addEventListener("problem", (event) => say(`The log cannot be read now: ${event.data}`));
    source.addEventListener("end", () => { ended = true; close(); if (!timer) timer = requestAnimationFrame(work); finish(); });
    source.onerror = () => {
      if (source && source.readyState === EventSource.CLOSED) { close(); setTimeout(poll, 2000); }
      else say("The connection is interrupted; it is tried again.");
    };
  };

  /* Without a free stream on the server, the same events are fetched. */
  const poll = async () => {
    if (source || ended || reading || document.hidden) return;
    url.searchParams.set("after", last);
    try {
      const response = await fetch(`${url}&once=1`, { cache: "no-store" });
      if (response.status === 401) { location.reload(); return; }
      const lines = (await response.text()).trimEnd().split("\n");
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      const id = lines.find((line) => line.startsWith("id: "));
      if (id && !reading) { add(data, id.slice(4)); scrollToEnd(); }
      say("Following the log, every two seconds.", "Pause", pause);
      if (lines.includes("event: end")) { ended = true; finish(); return; }
    } catch { say("The connection is interrupted; it is tried again."); }
    setTimeout(poll, 2000);
  };

  const finish = () => {
    if (!waiting.length) say("The run has stopped. These are its last lines.", "Show the result", () => location.reload());
  };

  const pause = () => {
    reading = true;
    waiting.length = 0;
    close();
    say("Paused while you read above.", "Continue at the end", follow);
  };

  const follow = () => {
    reading = false;
    scrollToEnd();
    ended = false;  // rows that had arrived may have been discarded
    open();
  };

  let before = page.scrollTop;
  addEventListener("scroll", () => {
    const up = page.scrollTop < before - 2;
    before = page.scrollTop;
    if (!reading && up && !isAtEnd()) pause();
    else if (reading && !up && isAtEnd()) follow();
  }, { passive: true });
  document.addEventListener("visibilitychange", () => { if (document.hidden) { close(); waiting.length = 0; } else open(); });
  if (!list.querySelector("[aria-current]")) scrollToEnd();
  open();
})();
