// Finds and makes elements, and changes only what is different.

/** The element of this id. */
export const $ = (id) => document.getElementById(id);

/** A new element: `make("a", {href: "#"}, "text")`; a class is given as `class`. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  setAll(element, attributes);
  element.append(...children);
  return element;
}

/** A new element of SVG. */
export function draw(tag, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAll(element, attributes);
  return element;
}

function setAll(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

/** Give an element this text, unless it has it already. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Give an element this attribute, or remove it if the value is null. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Give `parent` one child per item: `create` makes it, and `update` brings it up to date. */
export function fill(parent, items, create, update) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(create());
  items.forEach((item, index) => update(parent.children[index], item));
}
