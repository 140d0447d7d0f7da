/* The form that enqueues a job. enqueue(job, title) resolves to what is told once it is done; `job` fills it in. */

import {parse, post} from './api.js';
import {form} from './dialog.js';
import {h} from './dom.js';
import {json} from './format.js';
import {word} from './ui.js';

const FIELDS = [
  // name, label, kind, hint
  ['type', 'Job type', 'text'], ['queue', 'Queue', 'text', 'default'], ['payload', 'Payload (JSON object)', 'json', '{}'], ['job_id', 'Job id', 'text', 'by the server'], ['delay_ms', 'Delay, ms', 'number', '0'],
  ['max_retry', 'Most retries', 'number'], ['timeout', 'Time-out, s', 'number'], ['depends_on', 'Depends on (ids)', 'list'], ['meta', 'Meta (JSON object)', 'json'],
];
const COPIED = ['type', 'queue', 'payload', 'max_retry', 'timeout', 'meta'];

const READ = {
  text: (value) => value,
  list: (value) => value.split(/[\s,]+/).filter(Boolean),
  number(value) {
    if (!/^\d+$/.test(value)) throw new Error('a whole number is needed');
    return Number(value);
  },
  json(value) {
    const found = parse(value);
    if (!/^\{/.test(value)) throw new Error('an object is needed, like {"to": "ana"}');
    return found;
  },
};

export async function enqueue(job, title) {
  let made = null;
  const given = (name, kind) => (job?.[name] == null || !COPIED.includes(name) ? '' : kind === 'json' ? json(job[name], 2) : job[name]);
  const body = h('div.form-grid', FIELDS.map(([name, label, kind, placeholder]) => h('label.field', h('span', label), h(kind === 'json' ? 'textarea.mono' : 'input',
    {name, type: kind === 'json' ? null : 'text', rows: name === 'payload' ? 6 : 2, value: String(given(name, kind)), placeholder, required: name === 'type', autocomplete: 'off', spellcheck: 'false'}))));
  await form({title, label: 'Enqueue', body, submit: async (elements) => {
    const sent = {};
    for (const [name, label, kind] of FIELDS) {
      const value = elements[name].value.trim();
      try { if (value) sent[name] = READ[kind](value); } catch (error) { throw new Error(`${label}: ${error.message}`); }
    }
    made = (await post('/jobs', sent)).data;
  }});
  return made && `${made.id} is ${word(made.status)} in ${made.queue}`;
}
