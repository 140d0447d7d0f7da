/* The sign-in form, a modal dialog over whatever page is shown. signIn() resolves once somebody is signed in. */

import { post, readMe, session } from '../api.js';
import { h, render } from '../dom.js';

const TEXTS = {
  UNAUTHORIZED: 'Wrong user name or password',
  AUTH_DISABLED: 'No user accounts are configured: this API is reached with API keys only',
  REDIS_UNAVAILABLE: 'Redis is away, and nobody can sign in without it. Try again in a moment',
};

export function signIn() {
  return new Promise((done) => {
    const el = document.createElement('dialog');
    el.className = 'login';
    el.setAttribute('aria-labelledby', 'login-title');
    const form = { busy: false, error: '', shown: false, until: 0 };
    const left = () => Math.max(0, Math.ceil((form.until - performance.now()) / 1000));
    const draw = () => render(el, view(form, left(), { submit, flip: () => { form.shown = !form.shown; draw(); } }));

    async function submit(event) {
      event.preventDefault();
      if (form.busy || left()) return;
      const { username, password } = event.target.elements;
      form.busy = true; form.error = ''; draw();
      try {
        await post('/auth/login', { username: username.value, password: password.value });
        await readMe();
        if (session.me) { el.close(); el.remove(); return done(); }
        form.error = 'The browser did not keep the session; are cookies allowed?';
      } catch (error) {
        form.error = TEXTS[error.code] || error.message;
        if (error.code === 'LOGIN_THROTTLED') count(error.retryAfter || 30);
        if (error.code === 'UNAUTHORIZED') password.value = '';
      }
      form.busy = false; draw();
      el.querySelector(form.error === TEXTS.UNAUTHORIZED ? '#password' : '#username').focus();
    }

    function count(seconds) {
      form.until = performance.now() + seconds * 1000;
      const timer = setInterval(() => {
        if (!left()) { clearInterval(timer); form.error = ''; }
        draw();
      }, 1000);
    }

    el.addEventListener('cancel', (event) => event.preventDefault());
    document.body.append(el);
    draw();
    el.showModal();
    el.querySelector('#username').focus();
  });
}

function view({ busy, error, shown }, wait, { submit, flip }) {
  const time = `${Math.floor(wait / 60)}:${String(wait % 60).padStart(2, '0')}`;
  return h('form', { onsubmit: submit },
    h('div.brand', h('img', { src: 'icon.svg', alt: '', width: '32', height: '32' }), h('b', 'GQM')),
    h('h2', { id: 'login-title' }, 'Sign in'),
    h('label.field', { for: 'username' }, h('span', 'User name'),
      h('input', { id: 'username', name: 'username', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', required: true, maxlength: '64' })),
    h('label.field', { for: 'password' }, h('span', 'Password'),
      h('input', { id: 'password', name: 'password', type: shown ? 'text' : 'password', autocomplete: 'current-password', required: true })),
    h('label.check', h('input', { type: 'checkbox', checked: shown, onchange: flip }), 'Show password'),
    h('p.bad', { role: 'alert' }, wait ? 'Too many failed tries' : error),
    wait > 0 && h('p.muted', `You can try again in ${time}`),
    h('button', { type: 'submit', class: 'primary', disabled: busy || wait > 0, 'aria-busy': busy && 'true' }, busy ? 'Signing in…' : 'Sign in'));
}
