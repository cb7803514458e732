/* A click on a cell of the strip of a Map opens its item. The list below has the same items for keyboards. */
document.addEventListener("click", (event) => {
  const box = event.target.closest("[data-strip]");
  const picture = box && event.target.closest("svg");
  if (!picture) return;
  const columns = Number(box.dataset.columns), share = Number(box.dataset.perCell), items = Number(box.dataset.items);
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
  const index = (Math.floor(point.y) * columns + Math.floor(point.x)) * share;
  if (index < 0 || index >= items) return;
  const target = new URL(location.href);
  target.searchParams.set("item", String(index));
  location.href = target;
});
