/* Modal dialogs, each a promise that ends with the dialog; Esc and a click outside are Cancel. */

import {h, render} from './dom.js';

function open({title, wide, firm}, view) {
  return new Promise((done) => {
    const el = document.createElement('dialog');
    let result = null;
    const box = {el, close(value) { result = value; el.close(); }, draw: () => render(el, h('h2', {id: 'dialog-title'}, title), view(box))};
    if (wide) el.className = 'wide';
    el.setAttribute('aria-labelledby', 'dialog-title');
    el.oncancel = (event) => { if (firm) event.preventDefault(); };
    el.onclick = (event) => { if (!firm && event.target === el) el.close(); };
    el.onclose = () => { el.remove(); done(result); };
    document.body.append(el);
    box.draw();
    el.showModal();
    el.querySelector('[data-first]')?.focus();
  });
}

const buttons = (...kids) => h('div.buttons', kids);
const close = (box, label = 'Close', first = true) => h('button', {onclick: () => box.close(null), 'data-first': first}, label);

export function ask({title, text, label, danger, check}) {
  let found = check ? null : {}, entered = '';
  return open({title}, (box) => {
    if (!found) {
      found = {text: h('p', 'Counting…'), none: true, waits: true};
      (async () => { try { found = await check(); } catch (error) { found = {none: true, text: h('p.bad', error.message)}; } box.draw(); })();
    }
    const {typed, none, waits} = found, ready = !none && (typed == null || entered === String(typed));
    return h('form', {onsubmit: (event) => { event.preventDefault(); if (ready) box.close(true); }}, text && h('p', text), h('div', {'aria-live': 'polite'}, found.text),
      typed != null && h('label.field', h('span', 'Type ', h('b', typed), ' to confirm'), h('input', {type: 'text', name: 'typed', autocomplete: 'off', oninput: (event) => { entered = event.target.value; box.draw(); }})),
      buttons(close(box, none && !waits ? 'Close' : 'Cancel'), (!none || waits) && h('button', {type: 'submit', class: danger ? 'danger' : 'primary', disabled: !ready}, label)));
  });
}

export const show = ({title, body, wide}) => open({title, wide}, (box) => [body, buttons(close(box))]);

export function form({title, body, label, submit}) {
  let busy = false, error = '';
  return open({title, wide: true}, (box) => h('form', {onsubmit: async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true; error = ''; box.draw();
    try { await submit(event.target.elements); box.close(true); } catch (reason) { error = reason.message; }
    busy = false; box.draw();
  }}, body, h('p.bad', {role: 'alert'}, error), buttons(close(box, 'Cancel', false), h('button.primary', {type: 'submit', disabled: busy, 'aria-busy': busy && 'true'}, label))));
}

export function work({title, run}) {
  let line = 'Starting…', share, ended = null, stop = false, begun = false;
  return open({title, firm: true}, (box) => {
    if (!begun) {
      begun = true;
      run((text, part) => { line = text; share = part; box.draw(); }, () => stop).catch((error) => h('p.bad', error.message)).then((result) => {
        if (!result) return box.close(true);
        ended = result; box.draw(); box.el.querySelector('button').focus();
      });
    }
    return [h('div', {'aria-live': 'polite'}, ended || [h('p', line), h('progress', share == null ? {} : {value: share})]), buttons(ended ? close(box) : h('button', {disabled: stop, 'data-first': true, onclick: () => { stop = true; box.draw(); }}, stop ? 'Stopping…' : 'Stop'))];
  });
}
