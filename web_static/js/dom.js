/* Virtual nodes: h() describes elements, render() changes only what differs in the document.

   h('p.note', {props}, ...kids)   props may be missing; kids: text, nodes, lists; null, false, '' are left out
   s('path', {props})       the same for SVG
   render(parent, kids)     makes the children of `parent` be `kids`
   update()                 ask for one drawing of the whole page (see main.js), soon
   visible(text)            control and direction characters as escapes (done for all text and titles)

   Props: `key` tells siblings apart, `class`, `style` (object, through the CSSOM), `on…` handlers, `ref`
   (called once with the new element), `value checked disabled open selected indeterminate` are properties,
   all others attributes (true = empty, false or null = absent). Names of props are always written in code;
   text from a server is only ever text or the value of a fixed attribute. */

const SVG = 'http://www.w3.org/2000/svg';
const PROPERTY = new Set(['value', 'checked', 'disabled', 'selected', 'indeterminate']);
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const SPOKEN = new Set(['title', 'aria-label', 'placeholder', 'alt']);

export const visible = (text) => String(text).replace(HIDDEN,
  (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));

const isProps = (value) => value && typeof value === 'object' && !Array.isArray(value) && value.tag === undefined;

function make(svg, name, args) {
  const [tag, ...classes] = name.split('.');
  const props = isProps(args[0]) ? { ...args.shift() } : {};
  if (classes.length) props.class = classes.concat(props.class || []).join(' ');
  if (tag === 'button') props.type ??= 'button';
  return { tag, props, kids: flat(args, []), key: props.key ?? null, svg };
}

export const h = (name, ...args) => make(false, name, args);
export const s = (name, ...args) => make(true, name, args);

function flat(kids, out) {
  for (const kid of kids) {
    if (kid == null || kid === false || kid === true || kid === '') continue;
    if (Array.isArray(kid)) flat(kid, out);
    else out.push(kid.tag ? kid : { tag: null, text: visible(kid), key: null });
  }
  return out;
}

export function render(parent, ...kids) {
  const focused = document.activeElement;
  const next = flat(kids, []);
  patchKids(parent, parent.$kids || [], next);
  parent.$kids = next;
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

function create(node) {
  if (node.tag === null) return (node.el = document.createTextNode(node.text));
  const el = node.svg ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
  node.el = el;
  patchKids(el, [], node.kids);
  setProps(el, {}, node.props);
  node.props.ref?.(el);
  return el;
}

function patch(old, node) {
  const el = (node.el = old.el);
  if (node.tag === null) {
    if (old.text !== node.text) el.nodeValue = node.text;
    return;
  }
  patchKids(el, old.kids, node.kids);
  setProps(el, old.props, node.props);
}

function patchKids(el, olds, news) {
  const keyed = new Map(), loose = [];
  for (const old of olds) old.key === null ? loose.push(old) : keyed.set(old.key, old);
  let at = 0;
  const matches = news.map((node) => {
    let old;
    if (node.key !== null) {
      old = keyed.get(node.key);
      if (old?.tag === node.tag) keyed.delete(node.key); else old = null;
    } else if (loose[at]?.tag === node.tag) old = loose[at++];
    else {
      const found = loose.findIndex((item, i) => i >= at && item.tag === node.tag);
      if (found >= 0) { old = loose[found]; loose.splice(found, 1); loose.splice(at++, 0, old); }
    }
    return old || null;
  });
  for (const old of keyed.values()) old.el.remove();
  for (const old of loose.slice(at)) old.el.remove();
  let cursor = el.firstChild;
  news.forEach((node, i) => {
    if (matches[i]) patch(matches[i], node); else create(node);
    if (node.el === cursor) cursor = cursor.nextSibling;
    else el.insertBefore(node.el, cursor);
  });
}

function setProps(el, olds, news) {
  for (const name in olds) if (!(name in news)) setProp(el, name, null, olds[name]);
  for (const name in news) if (news[name] !== olds[name]) setProp(el, name, news[name], olds[name]);
}

function setProp(el, name, value, old) {
  if (name === 'key' || name === 'ref') return;
  if (name.startsWith('on')) el[name] = value;
  else if (name === 'style') {
    for (const item in old) if (!value || !(item in value)) el.style.removeProperty(item);
    for (const item in value) if (!old || old[item] !== value[item]) el.style.setProperty(item, value[item]);
  } else if (PROPERTY.has(name)) {
    const wanted = value ?? (name === 'value' ? '' : false);
    if (el[name] !== wanted) el[name] = wanted;
  } else if (value === null || value === undefined || value === false) el.removeAttribute(name);
  else el.setAttribute(name, value === true ? '' : SPOKEN.has(name) ? visible(value) : String(value));
}

let drawing = null, asked = false;
export const onupdate = (draw) => { drawing = draw; };
export function update() {
  if (asked || !drawing) return;
  asked = true;
  queueMicrotask(() => { asked = false; drawing(); });
}
