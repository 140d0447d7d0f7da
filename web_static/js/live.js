/* Keeps the data of the visible page fresh: one loop, the event stream, back-off, pause, and the truth about it all. */

import {ApiError, address, get, search, session} from './api.js';

const SAFETY = 30000, QUIET = 2000, NO_STREAM = 5000, RETRY_STREAM = 60000;
const EVENTS = ['job', 'queue', 'cron', 'server', 'stats', 'redis', 'dropped', 'bye'];
const clock = () => performance.now();

class Feed {
  data = {};
  paused = false;
  redisSince = null;
  #sources = {};
  #options = {interval: 5000};
  #abort = new AbortController();
  #running = null;
  #again = false;
  #timer = 0;
  #due = 0;
  #began = 0;
  #good = 0;
  #failures = 0;
  #reason = '';
  #slowed = false;
  #retryAt = 0;
  #stream = null;
  #streaming = false;
  #streamTimer = 0;

  #drop() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#running = null;
    this.#unplan();
  }

  #unplan() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  open(sources, options) {
    const kept = this.data;
    this.#drop();
    Object.assign(this, {data: {}});
    this.#options = options;
    this.#sources = sources;
    for (const [name, {path, query}] of Object.entries(sources)) {
      const url = path + search(query), old = kept[name]?.path === path ? kept[name] : {meta: {}, error: null};
      // The same list with another filter keeps its rows until the new ones are there.
      this.data[name] = old.url === url ? old : {...old, url, path, at: 0, busy: true};
    }
    this.#connect();
    this.#plan(0);
  }

  close() {
    this.#drop();
    this.data = this.#sources = {};
  }

  get #quiet() { return this.paused || document.hidden || !session.me; }

  pause(on) {
    this.paused = on;
    this.wake();
  }

  /** To be called when hiding, pausing or signing in may have changed what is to be done. */
  wake() {
    this.#drop();
    if (this.#quiet) this.#disconnect(); else {
      this.#connect();
      this.#plan(0, true);
    }
    this.onchange();
  }

  async refresh() {
    await this.#running;
    this.#unplan();
    await this.#cycle(true);
  }

  #plan(wait, all) {
    if (this.#quiet || (this.#timer && clock() + wait > this.#due)) return;
    this.#unplan();
    this.#due = clock() + wait;
    this.#timer = setTimeout(() => { this.#timer = 0; this.#cycle(all); }, wait);
  }

  #poke() {
    if (!this.#failures) this.#plan(Math.max(50, this.#began + QUIET - clock()));
  }

  async #cycle(all) {
    if (this.#running) { this.#again = true; return; }
    const {signal} = this.#abort, errors = [], started = clock();
    const due = Object.entries(this.#sources).filter(([name, {every}]) => {
      const {at, error} = this.data[name];
      return all || !at || error || !every || started - at >= every - 100;
    });
    this.#again = false;
    this.#began = started;
    this.#running = Promise.all(due.map(([name, source]) => this.#fetch(name, source, signal, errors)));
    await this.#running;
    if (signal.aborted) return;
    this.#running = null;
    const wait = this.#judge(errors, due.length);
    this.onchange();
    this.#plan(this.#again && !this.#failures ? QUIET : wait);
  }

  async #fetch(name, {path, query}, signal, errors) {
    const entry = this.data[name];
    try {
      const {data, meta} = await get(path, {query, signal});
      if (signal.aborted) return;
      this.#good = clock();
      Object.assign(entry, {data, meta, error: null, at: this.#good});
      if (name === 'stats') this.onstats(data);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) console.error(error);
      entry.error = error;
      errors.push(error);
    }
    entry.busy = false;
  }

  /** Reads the outcome of a cycle into the state; returns the wait until the next one. */
  #judge(errors, asked) {
    const find = (test) => errors.find(test), away = find(({code}) => code === 'REDIS_UNAVAILABLE'), slow = find(({status}) => status === 429);
    const bad = away || slow || find(({status}) => !status || status === 503) || (errors.length === asked && find(({status}) => status >= 500));
    const back = this.#failures > 1;
    this.redisSince = away ? this.redisSince || Date.now() : null;
    this.#slowed = Boolean(slow);
    if (find(({status}) => status === 401)) { this.onsignedout(); return SAFETY; }
    if (find(({status}) => status === 403)) this.onforbidden();
    if (!bad) {
      this.#failures = 0;
      if (back) this.onback();
      return this.#streaming ? SAFETY : this.#options.interval;
    }
    this.#failures += 1;
    this.#reason = away ? 'Redis is away' : bad.message;
    const backoff = Math.min(30000, 1000 * 2 ** (this.#failures - 1)) * (0.85 + 0.3 * Math.random());
    const wait = slow?.retryAfter ? slow.retryAfter * 1000 : Math.max(backoff, (bad.retryAfter || 0) * 1000);
    this.#retryAt = clock() + wait;
    return wait;
  }

  state() {
    const since = clock() - this.#good, age = Math.round(since / 1000), retry = Math.max(0, Math.ceil((this.#retryAt - clock()) / 1000));
    const beat = this.#streaming ? Math.max(this.#options.interval, NO_STREAM) : this.#options.interval;
    const name = this.paused ? 'paused' : this.#slowed ? 'slowed' : this.#failures > 1 || this.redisSince ? 'offline' : !this.#good ? 'loading' : this.#failures || since > 2 * beat + 1000 ? 'stale' : 'live';
    return {name, age, retry, reason: this.#reason};
  }

  // ------------------------------------------------------------------ the event stream

  #connect() {
    const url = address('/events') + search(this.#options.stream);
    if (this.#quiet || !session.config.sse || this.#stream?.gqmUrl === url) return;
    this.#disconnect();
    const stream = this.#stream = Object.assign(new EventSource(url), {gqmUrl: url});
    const lost = () => {
      this.#disconnect();
      this.#streamTimer = setTimeout(() => this.#connect(), RETRY_STREAM);
      this.#plan(Math.max(0, this.#began + this.#options.interval - clock()));
    };
    const watch = () => { this.#streamTimer ||= setTimeout(lost, NO_STREAM); };
    watch();
    stream.addEventListener('hello', ({data}) => {
      clearTimeout(this.#streamTimer);
      this.#streamTimer = 0;
      if (this.#streaming) this.#poke();
      this.#streaming = true;
      this.onversion(JSON.parse(data).version);
    });
    // A refused stream stays closed; one that broke is opened again by the browser, for a while.
    stream.onerror = () => { if (stream.readyState === 2) lost(); else watch(); };
    for (const kind of EVENTS) stream.addEventListener(kind, ({data}) => this.#take(kind, JSON.parse(data)));
  }

  #take(kind, event) {
    if (kind === 'stats') {
      this.#good = clock();
      if (this.data.stats) Object.assign(this.data.stats, {data: event, error: null, at: this.#good, busy: false});
      this.onstats(event);
    }
    if (kind === 'bye' && event.reason === 'signed_out') this.onsignedout();
    else if (kind === 'redis' || kind === 'dropped' || this.#options.events({kind, ...event})) this.#poke();
  }

  #disconnect() {
    clearTimeout(this.#streamTimer);
    this.#stream?.close();
    this.#stream = null;
    this.#streaming = false;
    this.#streamTimer = 0;
  }
}

export const feed = new Feed();
