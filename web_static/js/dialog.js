/* Modal dialogs. All resolve when the dialog is gone; Esc and a click outside are Cancel.

   ask({title, text, label, danger, check, typed})   → true if confirmed
       text    nodes; check: async () => ({text, typed, none}) is a dry run: its text is added when it is there,
               `none` leaves only Close; typed: this text has to be typed first
   show({title, body, label, wide})                  shows nodes or a function that gives them
   form({title, body, label, submit})                submit: async (elements) => closes, or throws what is shown
   work({title, run})                                run: async (say, stopped) with a progress line and Stop */

import { ApiError } from './api.js';
import { h, render } from './dom.js';

function open({ title, draw, modal = true, wide = false, cancel = true }) {
  return new Promise((done) => {
    const el = document.createElement('dialog');
    el.className = wide ? 'wide' : '';
    el.setAttribute('aria-labelledby', 'dialog-title');
    const box = { el, value: false, close(value) { box.value = value; el.close(); }, update: () => render(el, view()) };
    const view = () => [h('h2', { id: 'dialog-title' }, title), draw(box)];
    el.addEventListener('cancel', (event) => { if (!cancel) event.preventDefault(); });
    el.addEventListener('click', (event) => { if (cancel && event.target === el) el.close(); });
    el.addEventListener('close', () => { el.remove(); done(box.value); });
    document.body.append(el);
    box.update();
    if (modal) el.showModal();
    el.querySelector('[data-first]')?.focus();
  });
}

const button = (label, onclick, props = {}) => h('button', { onclick, ...props }, label);

export function ask({ title, text, label, danger = false, check, typed = null }) {
  let found = check ? null : { text: null, typed }, error = null, entered = '';
  return open({ title, draw(box) {
    if (check && !found && !error && !box.asked) {
      box.asked = true;
      check().then((value) => { found = value; }, (reason) => { error = reason; }).finally(box.update);
    }
    const wanted = found?.typed;
    const ready = found && !found.none && (wanted == null || entered === String(wanted));
    const confirm = () => { if (ready) box.close(true); };
    return h('form', { method: 'dialog', onsubmit: (event) => { event.preventDefault(); confirm(); } },
      text && h('p', text),
      check && h('div.found', { 'aria-live': 'polite' },
        error ? h('p.bad', error.message) : found ? found.text : h('p.muted', 'Counting…')),
      wanted != null && !found.none && h('label.field', h('span', 'Type ', h('b', String(wanted)), ' to confirm'),
        h('input', { name: 'typed', autocomplete: 'off', spellcheck: 'false', oninput: (e) => { entered = e.target.value; box.update(); } })),
      h('div.buttons',
        button(found?.none || error ? 'Close' : 'Cancel', () => box.close(false), { 'data-first': danger || wanted != null }),
        !found?.none && !error && h('button', { type: 'submit', class: danger ? 'danger' : 'primary', disabled: !ready, 'data-first': !danger && wanted == null }, label)));
  } });
}

export const show = ({ title, body, label = 'Close', wide = false }) => open({ title, wide, draw: (box) => [
  h('div.content', typeof body === 'function' ? body(box) : body),
  h('div.buttons', button(label, () => box.close(false), { 'data-first': true }))] });

export function form({ title, body, label, submit }) {
  let busy = false, error = '';
  return open({ title, wide: true, draw(box) {
    const onsubmit = async (event) => {
      event.preventDefault();
      if (busy) return;
      busy = true; error = ''; box.update();
      try { box.close(await submit(event.target.elements) || true); } catch (reason) {
        if (!(reason instanceof ApiError) && !reason.shown) console.error(reason);
        error = reason.message;
      }
      busy = false; box.update();
    };
    return h('form', { onsubmit }, h('div.content', body(box)), h('p.bad', { role: 'alert' }, error),
      h('div.buttons', button('Cancel', () => box.close(false)),
        h('button', { type: 'submit', class: 'primary', disabled: busy, 'aria-busy': busy && 'true' }, busy ? 'Sending…' : label)));
  } });
}

export function work({ title, run }) {
  let line = 'Starting…', part = null, ended = null, stop = false;
  return open({ title, cancel: false, draw(box) {
    if (!box.begun) {
      box.begun = true;
      run((text, share) => { line = text; part = share; box.update(); }, () => stop).then((result) => {
        if (result) { ended = result; box.update(); box.el.querySelector('button')?.focus(); } else box.close(true);
      }, (error) => { ended = h('p.bad', error.message); box.update(); });
    }
    return [h('div.content', { 'aria-live': 'polite' }, ended || [h('p', line),
      h('progress', part == null ? {} : { max: '1', value: String(part) })]),
    h('div.buttons', ended ? button('Close', () => box.close(true))
      : button(stop ? 'Stopping…' : 'Stop', () => { stop = true; box.update(); }, { disabled: stop, 'data-first': true }))];
  } });
}
