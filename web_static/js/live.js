/* Keeps the data of the visible page fresh: one loop, the event stream, back-off, pause, and the truth about it.

   feed.open(sources, {interval, events, stream})   what the page needs; a source that keeps its URL keeps its data
       sources   {name: {path, query, every}}       every = ms between fetches of a slow one (default: each cycle)
       events    (event) => true                    which stream events ask for a fetch; stream: {queue}
   feed.data[name]    {data, meta, error, at, busy, url}; an error leaves the last data
   feed.refresh()     fetch everything now and tell when it is done; feed.poke() soon (≤ one per 2 s)
   feed.pause(on)     feed.close()                  no requests until resumed
   feed.state()       {name: live stale offline slowed paused, age, reason, retry} for the pill
   feed.redisSince    since when Redis is away (ms) or null
   feed.onchange() onstats(stats) onsignedout() onback() onforbidden() onversion(version)   set by main.js */

import { ApiError, address, get, search, session } from './api.js';

const SAFETY = 30000, QUIET = 2000, NO_STREAM = 5000, RETRY_STREAM = 60000;
const EVENTS = ['job', 'queue', 'cron', 'server', 'stats', 'redis', 'dropped', 'bye'];

class Feed {
  data = {};
  paused = false;
  redisSince = null;
  #sources = {};
  #interval = 5000;
  #events = () => false;
  #timer = 0;
  #abort = new AbortController();
  #running = null;
  #again = false;
  #began = 0;
  #good = 0;
  #failures = 0;
  #reason = '';
  #slowed = false;
  #retryAt = 0;
  #stream = null;
  #streamUrl = '';
  #streaming = false;
  #streamTimer = 0;

  open(sources, { interval = 5000, events, stream } = {}) {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#running = null;
    this.#interval = interval;
    this.#events = events || (() => false);
    this.#sources = sources;
    const kept = this.data;
    this.data = {};
    for (const [name, source] of Object.entries(sources)) {
      const url = source.path + search(source.query), old = kept[name];
      const fresh = { data: undefined, meta: {}, error: null, at: 0, busy: true, url, path: source.path };
      // The same list with another filter keeps its rows, as old, until the new ones are there.
      this.data[name] = old?.url === url ? old : old?.path === source.path ? { ...old, url, at: 0, busy: true } : fresh;
    }
    this.#connect(stream);
    this.#plan(0);
  }

  close() {
    this.#abort.abort();
    clearTimeout(this.#timer);
    this.#disconnect();
    this.#sources = {};
    this.data = {};
    this.#streamUrl = '';
  }

  get quiet() { return this.paused || document.hidden || !session.me; }

  pause(on) {
    this.paused = on;
    this.wake();
  }

  /** Called when pausing, hiding, coming back or signing in may have changed what is to be done. */
  wake() {
    clearTimeout(this.#timer);
    if (this.quiet) { this.#abort.abort(); this.#disconnect(); } else {
      if (this.#abort.signal.aborted) { this.#abort = new AbortController(); this.#running = null; }
      this.#connect();
      this.#plan(0, true);
    }
    this.onchange();
  }

  poke() {
    if (!this.#failures) this.#plan(Math.max(50, this.#began + QUIET - performance.now()));
  }

  async refresh() {
    if (this.#running) await this.#running;
    clearTimeout(this.#timer);
    await this.#cycle(true);
  }

  #plan(wait, all = false) {
    if (this.quiet) return;
    const at = performance.now() + wait;
    if (this.#timer && wait && at > this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(() => { this.#timer = 0; this.#cycle(all); }, wait);
  }
  #timerAt = 0;

  async #cycle(all) {
    if (this.#running) { this.#again = true; return; }
    this.#again = false;
    const { signal } = this.#abort;
    const started = performance.now();
    const due = Object.entries(this.#sources).filter(([name, { every }]) => {
      const entry = this.data[name];
      return all || !entry.at || entry.error || !every || started - entry.at >= every - 100;
    });
    this.#began = started;
    const errors = [];
    this.#running = Promise.all(due.map(([name, source]) => this.#fetch(name, source, signal, errors)));
    await this.#running;
    if (signal.aborted) return;
    this.#running = null;
    const wait = this.#judge(errors, due.length);
    this.onchange();
    this.#plan(this.#again && !this.#failures ? Math.min(QUIET, wait) : wait);
  }

  async #fetch(name, { path, query }, signal, errors) {
    const entry = this.data[name];
    try {
      const { data, meta } = await get(path, { query, signal });
      if (signal.aborted) return;
      Object.assign(entry, { data, meta, error: null, at: performance.now(), busy: false });
      this.#good = entry.at;
      if (name === 'stats') this.onstats(data);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) console.error(error);
      Object.assign(entry, { error, busy: false });
      errors.push(error);
    }
  }

  /** Reads the outcome of a cycle into the state and returns the wait until the next one. */
  #judge(errors, asked) {
    const worst = errors.find((e) => e.status === 401) || errors.find((e) => e.code === 'REDIS_UNAVAILABLE') ||
      errors.find((e) => e.status === 429) || errors.find((e) => !e.status || e.status >= 500) || errors[0];
    const back = this.#failures > 1;
    this.redisSince = worst?.code === 'REDIS_UNAVAILABLE' ? this.redisSince || Date.now() : null;
    this.#slowed = worst?.status === 429;
    if (worst?.status === 401) { this.onsignedout(); return SAFETY; }
    if (worst?.status === 403) this.onforbidden();
    const bad = worst && (!worst.status || worst.status === 429 || worst.status >= 500);
    if (!bad || (errors.length < asked && worst.status && worst.status < 503 && worst.status !== 429)) {
      this.#failures = 0;
      if (back) this.onback();
      return this.#streaming ? SAFETY : this.#interval;
    }
    this.#failures += 1;
    this.#reason = worst.code === 'REDIS_UNAVAILABLE' ? 'Redis is away' : worst.message;
    const backoff = Math.min(30000, 1000 * 2 ** (this.#failures - 1)) * (0.85 + 0.3 * Math.random());
    const wait = worst.retryAfter !== null ? Math.max(worst.retryAfter * 1000, this.#slowed ? 0 : backoff) : backoff;
    this.#retryAt = performance.now() + wait;
    return wait;
  }

  state() {
    const at = performance.now(), age = Math.round((at - this.#good) / 1000);
    const retry = Math.max(0, Math.ceil((this.#retryAt - at) / 1000));
    if (this.paused) return { name: 'paused', age };
    if (this.#slowed) return { name: 'slowed', age, retry };
    if (this.#failures > 1 || this.redisSince) return { name: 'offline', age, reason: this.#reason, retry };
    const beat = this.#streaming ? Math.max(this.#interval, NO_STREAM) : this.#interval;
    if (!this.#good) return { name: this.#failures ? 'offline' : 'loading', age: 0, reason: this.#reason, retry };
    return { name: this.#failures || at - this.#good > 2 * beat + 1000 ? 'stale' : 'live', age };
  }

  // ---------------------------------------------------------------- the event stream

  #connect(stream) {
    if (stream !== undefined || !this.#streamUrl) this.#wanted = search(stream);
    const url = address('/events') + this.#wanted;
    if (this.quiet || !session.config.sse || (this.#stream && this.#streamUrl === url)) return;
    this.#disconnect();
    this.#streamUrl = url;
    const source = (this.#stream = new EventSource(url));
    this.#streamTimer = setTimeout(() => this.#lost(), NO_STREAM);
    source.addEventListener('hello', (event) => {
      clearTimeout(this.#streamTimer);
      this.#streamTimer = 0;
      const again = !this.#streaming && this.#good;
      this.#streaming = true;
      this.onversion(JSON.parse(event.data).version);
      if (again) this.poke();
    });
    source.onerror = () => {
      // A stream that was refused stays closed; one that broke is opened again by the browser, for a while.
      if (source.readyState === EventSource.CLOSED) this.#lost();
      else if (!this.#streamTimer) this.#streamTimer = setTimeout(() => this.#lost(), NO_STREAM);
    };
    for (const kind of EVENTS) source.addEventListener(kind, (event) => this.#take(kind, JSON.parse(event.data)));
  }
  #wanted = '';

  #take(kind, event) {
    if (kind === 'stats') {
      this.#good = performance.now();
      if (this.data.stats) Object.assign(this.data.stats, { data: event, error: null, at: this.#good, busy: false });
      this.onstats(event);
    }
    if (kind === 'bye' && event.reason === 'signed_out') return this.onsignedout();
    if (kind === 'redis' || kind === 'dropped' || this.#events({ kind, ...event })) this.poke();
  }

  #lost() {
    this.#disconnect();
    if (this.quiet) return;
    this.#streamTimer = setTimeout(() => { this.#streamTimer = 0; this.#connect(); }, RETRY_STREAM);
    this.#plan(Math.max(0, this.#interval - (performance.now() - this.#began)));
  }

  #disconnect() {
    clearTimeout(this.#streamTimer);
    this.#streamTimer = 0;
    this.#stream?.close();
    this.#stream = null;
    this.#streaming = false;
  }

  onchange() {}
  onstats() {}
  onsignedout() {}
  onforbidden() {}
  onback() {}
  onversion() {}
}

export const feed = new Feed();
