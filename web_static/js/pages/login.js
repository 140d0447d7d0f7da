/* The sign-in form of index.html, modal over whatever page is shown. signIn() resolves once somebody is signed in. */

import {post, readMe, session} from '../api.js';

const TEXTS = {
  UNAUTHORIZED: 'Wrong user name or password', LOGIN_THROTTLED: 'Too many failed tries',
  AUTH_DISABLED: 'No user accounts are configured: this API is reached with API keys only',
  REDIS_UNAVAILABLE: 'Redis is away, and nobody can sign in without it. Try again in a moment',
};

export function signIn() {
  const box = document.getElementById('login'), form = box.firstElementChild, {username, password, show} = form.elements;
  const button = form.querySelector('button'), said = document.getElementById('login-error'), waiting = document.getElementById('login-wait');
  let busy = false, until = 0;

  function draw() {
    const wait = Math.max(0, Math.ceil((until - performance.now()) / 1000));
    button.disabled = busy || wait > 0;
    button.textContent = busy ? 'Signing in…' : 'Sign in';
    waiting.textContent = wait ? `You can try again in ${Math.floor(wait / 60)}:${String(wait % 60).padStart(2, '0')}` : '';
    if (wait) setTimeout(draw, 1000);
  }

  box.oncancel = (event) => event.preventDefault();
  show.onchange = () => { password.type = show.checked ? 'text' : 'password'; };
  form.reset();
  show.onchange();
  said.textContent = '';
  draw();
  box.showModal();
  username.focus();
  return new Promise((done) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      if (busy) return;
      busy = true; said.textContent = ''; draw();
      try {
        await post('/auth/login', {username: username.value, password: password.value});
        await readMe();
        if (session.me) { box.close(); form.reset(); done(); } else said.textContent = 'The browser did not keep the session; are cookies allowed?';
      } catch (error) {
        said.textContent = TEXTS[error.code] || error.message;
        if (error.code === 'LOGIN_THROTTLED') until = performance.now() + 1000 * (error.retryAfter || 30);
        if (error.code === 'UNAUTHORIZED') password.value = '';
        (password.value ? username : password).focus();
      }
      busy = false; draw();
    };
  });
}
