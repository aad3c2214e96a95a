// What is wrong with the page for those who can't see it well, or at all; a list of complaints.
() => {
  const wrong = [];
  const seen = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const all = (selector) => [...document.querySelectorAll(selector)].filter(seen);
  const where = (element) =>
    `${element.tagName.toLowerCase()}${element.id && `#${element.id}`} "${element.textContent.trim().slice(0, 30)}"`;

  if (!document.documentElement.lang) wrong.push("the page has no language");
  if (!document.title) wrong.push("the page has no title");
  if (all("main").length !== 1) wrong.push("there is not one main");
  if (all("body > header").length !== 1) wrong.push("there is not one header");

  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids))
    if (ids.filter((other) => other === id).length > 1) wrong.push(`id ${id} is there twice`);
  for (const name of ["aria-labelledby", "aria-describedby"]) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      for (const id of element.getAttribute(name).split(" "))
        if (!ids.includes(id)) wrong.push(`${where(element)}: ${name} leads nowhere`);
    }
  }

  let level = 0;
  const headings = all("h1, h2, h3, h4, h5, h6").filter((heading) => !heading.closest("dialog"));
  for (const heading of headings) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) wrong.push(`${where(heading)} comes after a heading of level ${level}`);
    level = next;
  }
  if (headings.filter((heading) => heading.tagName === "H1").length !== 1)
    wrong.push("there is not one h1");
  if (headings[0]?.tagName !== "H1") wrong.push("the first heading is no h1");

  for (const image of all("img"))
    if (!image.hasAttribute("alt")) wrong.push(`${where(image)} has no alt`);
  for (const table of all("table")) {
    if (!table.caption?.textContent) wrong.push(`${where(table)} has no caption`);
    for (const head of table.querySelectorAll("th"))
      if (!head.scope) wrong.push(`${where(head)} has no scope`);
  }
  for (const element of all("button, select, input")) {
    const { width, height } = element.getBoundingClientRect();
    if (width < 24 || height < 24)
      wrong.push(`${where(element)} is too small to hit: ${width} by ${height}`);
  }
  for (const element of all("*")) {
    const scrolls =
      element.scrollHeight > element.clientHeight + 1 &&
      /auto|scroll/.test(getComputedStyle(element).overflowY);
    if (scrolls && element !== document.scrollingElement && element.tabIndex < 0)
      wrong.push(`${where(element)} scrolls, but not by keyboard`);
  }

  // Contrast, as WCAG 2.2 defines it.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parse = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) =>
    [r, g, b].map((part, index) => part * a + below[index] * (1 - a));
  const luminance = (colour) => {
    const [r, g, b] = colour.map((part) =>
      part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    if (element === null) return [255, 255, 255];
    const colour = parse(getComputedStyle(element).backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const modal = document.querySelector("dialog[open]");
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (
      !walker.currentNode.textContent.trim() ||
      !seen(element) ||
      element.closest("noscript, script, .unseen, svg, :disabled")
    )
      continue;
    if (modal && !modal.contains(element)) continue;
    const style = getComputedStyle(element);
    const below = behind(element);
    const [light, dark] = [luminance(over(parse(style.color), below)), luminance(below)].sort(
      (a, b) => b - a,
    );
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5))
      wrong.push(`${where(element)} has a contrast of ${ratio.toFixed(2)}`);
  }
  return wrong;
};
