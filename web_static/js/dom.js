/* Virtual nodes: h() describes elements, render() changes only what differs in the document. */

const PROPERTY = new Set(['value', 'checked', 'disabled', 'indeterminate']);
const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export const visible = (text) => String(text).replace(HIDDEN, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));

function make(svg, name, args) {
  const [tag, ...classes] = name.split('.'), [first] = args;
  const given = first && typeof first === 'object' && !Array.isArray(first) && first.tag === undefined;
  const props = given ? {...args.shift()} : {};
  if (classes.length) props.class = classes.concat(props.class || []).join(' ');
  if (tag === 'button') props.type ??= 'button';
  return {tag, props, kids: flat(args, []), key: props.key ?? null, svg};
}

export const h = (name, ...args) => make(false, name, args);
export const s = (name, ...args) => make(true, name, args);

function flat(kids, out) {
  for (const kid of kids) {
    if (Array.isArray(kid)) flat(kid, out);
    else if (kid != null && kid !== '' && typeof kid !== 'boolean') out.push(kid.tag ? kid : {tag: null, text: visible(kid), key: null});
  }
  return out;
}

export function render(parent, ...kids) {
  const focused = document.activeElement, next = flat(kids, []);
  patchKids(parent, parent.$kids || [], next);
  parent.$kids = next;
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({preventScroll: true});
}

function place(node, old) {
  if (node.tag === null) {
    node.el = old?.el || document.createTextNode(node.text);
    if (old && old.text !== node.text) node.el.nodeValue = node.text;
    return;
  }
  node.el = old?.el || (node.svg ? document.createElementNS('http://www.w3.org/2000/svg', node.tag) : document.createElement(node.tag));
  patchKids(node.el, old?.kids || [], node.kids);
  const before = old?.props || {};
  for (const name in {...before, ...node.props}) if (node.props[name] !== before[name]) setProp(node.el, name, node.props[name], before[name]);
  if (!old) node.props.ref?.(node.el);
}

function patchKids(el, olds, news) {
  const keyed = new Map(), loose = [], matches = [];
  for (const old of olds) if (old.key === null) loose.push(old); else keyed.set(old.key, old);
  const take = (fits) => news.forEach((node, i) => {
    const at = node.key === null && !matches[i] ? loose.findIndex((old) => fits(old, node)) : -1;
    if (at >= 0) [matches[i]] = loose.splice(at, 1);
  });
  news.forEach(({key, tag}, i) => {
    if (key === null || keyed.get(key)?.tag !== tag) return;
    matches[i] = keyed.get(key);
    keyed.delete(key);
  });
  // First those of one class, so that what comes between two takes neither's place, and the focus with it.
  take((old, node) => old.tag === node.tag && old.props?.class === node.props?.class);
  take((old, node) => old.tag === node.tag);
  for (const old of [...keyed.values(), ...loose]) old.el.remove();
  let next = el.firstChild;
  news.forEach((node, i) => {
    place(node, matches[i]);
    if (node.el === next) next = next.nextSibling; else el.insertBefore(node.el, next);
  });
}

function setProp(el, name, value, old) {
  if (name === 'key' || name === 'ref') return;
  if (name.startsWith('on')) el[name] = value;
  else if (name === 'style') for (const item in {...old, ...value}) el.style.setProperty(item, value?.[item] ?? '');
  // The value 0 of a progress bar must be an attribute, or the bar is one without an end.
  else if (PROPERTY.has(name) && el.tagName !== 'PROGRESS') {
    const wanted = value ?? (name === 'value' ? '' : false);
    if (el[name] !== wanted) el[name] = wanted;
  } else if (value == null || value === false) el.removeAttribute(name);
  else el.setAttribute(name, value === true ? '' : visible(value));
}

let drawing = null, asked = false;
export const onupdate = (draw) => { drawing = draw; };
export function update() {
  if (asked) return;
  asked = true;
  queueMicrotask(() => { asked = false; drawing(); });
}
