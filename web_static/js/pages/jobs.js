/* All jobs of all queues. */

import {plural} from '../format.js';
import {enqueueControl, jobList, jobParams, jobQuery} from '../joblist.js';

export default {
  params: jobParams(),
  title: () => 'Jobs',
  summary: ({data: {jobs: {data, meta}}}) => data && `${meta.truncated ? 'At least ' : ''}${plural(meta.total, 'job')}`,
  actions: () => enqueueControl(),
  sources: ({query}) => ({jobs: {path: '/jobs', query: jobQuery(query)}}),
  events: ({kind}) => kind === 'job' || kind === 'queue',
  view: (ctx) => jobList({ctx, source: ctx.data.jobs, title: 'Jobs', empty: 'No job yet. Programs enqueue them, or Enqueue job does.'}),
};
