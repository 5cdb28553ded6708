// Pipelines: which runs fail, in which step, and where their time goes.

import { SPAN } from '../../../src/kernel/names.ts'
import { dashboard } from '../frame.ts'
import { cell, lines as logLines, of, traces } from '../links.ts'
import { bars, heatmap, lines, number } from '../panels.ts'
import { orZero, phrases, RANGE, share, sum } from '../phrases.ts'
import { table } from '../table.ts'

const { rate, counted, quantile, average } = phrases('pipeline')
const BY_STEP = 'pipeline, step'
const STEP = '{{pipeline}} {{step}}'
const PIPELINE = '{{pipeline}}'
const JUDGED = '~success|failure'
/** Skipped and restored steps took no time and ran nothing. */
const RAN = '~success|failure|retry|timeout|cancelled'
const ofPipeline = [traces('Traces of this pipeline', `{ name = "${SPAN.pipeline(of('pipeline'))}" }`)]
const ofStep = [traces('Traces of this step', `{ name = "${SPAN.step(of('step'))}" }`)]

const ended = (by: string, outcome: string, over?: string): string => sum(by, counted('pipelines', { outcome }, over))
const success = (by: string, over: string): string => share(ended(by, 'success', over), ended(by, JUDGED, over))

const now = [
  number({
    title: 'Runs',
    what: 'Pipeline runs that ended in the time shown.',
    w: 4,
    expr: orZero(`round(${sum('', counted('pipelines'))})`),
  }),
  number({
    title: 'Success rate',
    what: 'Runs that succeeded, as a part of those that succeeded or failed, in the time shown. Cancelled runs are in neither.',
    alerts: ['PipelineFailureRateHigh'],
    unit: 'percentunit',
    w: 4,
    none: 'no runs',
    expr: success('', RANGE),
  }),
  number({
    title: 'Failed runs',
    what: 'Runs that failed in the time shown.',
    alerts: ['PipelineFailureRateHigh'],
    bad: 1,
    w: 4,
    expr: orZero(`round(${ended('', 'failure')})`),
  }),
  number({
    title: 'Duration p99',
    what: 'One run in a hundred took longer, in the time shown; of all chosen pipelines together.',
    alerts: ['PipelineDurationP99High'],
    lines: ['pipeline-duration'],
    unit: 's',
    w: 4,
    none: 'no runs',
    expr: quantile(0.99, '', 'pipelineDuration', {}, RANGE),
  }),
  number({
    title: 'Steps retried',
    what: 'Step attempts that failed or ran out of time and were tried again, in the time shown.',
    w: 4,
    expr: orZero(`round(${sum('', counted('steps', { outcome: 'retry' }))})`),
  }),
  number({
    title: 'Steps timed out',
    what: 'Step attempts that took longer than their timeoutMs, in the time shown.',
    bad: 1,
    w: 4,
    expr: orZero(`round(${sum('', counted('steps', { outcome: 'timeout' }))})`),
  }),
]

const runs = [
  bars({
    title: 'Runs by outcome',
    byOutcome: true,
    what: 'Runs that ended, per minute or longer step.',
    alerts: ['PipelineFailureRateHigh'],
    unit: 'short',
    w: 8,
    queries: [
      {
        expr: `${sum('pipeline, outcome', counted('pipelines', {}, '$__interval'))} > 0`,
        legend: `${PIPELINE} {{outcome}}`,
      },
    ],
    links: ofPipeline,
  }),
  lines({
    title: 'Failure rate by pipeline',
    what: 'Runs that failed, as a part of those that succeeded or failed in the last hour. The alert judges the last 5 min where there were 20.',
    alerts: ['PipelineFailureRateHigh'],
    lines: ['pipeline-failure-rate'],
    unit: 'percentunit',
    w: 8,
    queries: [{ expr: share(ended('pipeline', 'failure', '1h'), ended('pipeline', JUDGED, '1h')), legend: PIPELINE }],
    links: ofPipeline,
  }),
  lines({
    title: 'Duration p50, p95, p99 by pipeline',
    what: 'How long runs took. Dots lead to traces.',
    alerts: ['PipelineDurationP99High'],
    lines: ['pipeline-duration'],
    unit: 's',
    exemplars: true,
    w: 8,
    queries: [0.5, 0.95, 0.99].map((q) => ({
      expr: quantile(q, 'pipeline', 'pipelineDuration'),
      legend: `${PIPELINE} p${q * 100}`,
    })),
    links: ofPipeline,
  }),
]

const time = [
  heatmap({
    title: 'Step durations',
    what: 'How many step attempts of the chosen pipelines took how long.',
    unit: 's',
    expr: sum('le', rate('stepDuration', {}, undefined, '_bucket')),
  }),
  lines({
    title: 'Step duration p95 by step',
    what: 'One attempt in twenty took longer. Dots lead to traces.',
    unit: 's',
    exemplars: true,
    queries: [{ expr: quantile(0.95, BY_STEP, 'stepDuration'), legend: STEP }],
    links: ofStep,
  }),
  table({
    title: 'Slowest steps',
    what: 'The ten steps with the longest p95 in the time shown, their average, and how often they ran.',
    by: { pipeline: 'Pipeline', step: 'Step' },
    columns: [
      { name: 'p95', expr: quantile(0.95, BY_STEP, 'stepDuration', {}, RANGE), unit: 's' },
      { name: 'Average', expr: average(BY_STEP, 'stepDuration', {}, RANGE), unit: 's' },
      { name: 'Attempts', expr: `round(${sum(BY_STEP, counted('steps', { outcome: RAN }))})`, unit: 'short' },
    ],
    sortBy: 'p95',
    limit: 10,
    links: [traces('Slow traces of this step', `{ name = "${SPAN.step(cell('Step'))}" && duration > 1s }`)],
  }),
  lines({
    title: 'Critical path and duration, p95',
    what: 'The longest chain of steps beside the whole run. Far apart: steps wait for a free place, not for each other.',
    unit: 's',
    exemplars: true,
    queries: [
      { expr: quantile(0.95, 'pipeline', 'pipelineDuration'), legend: `${PIPELINE} run` },
      { expr: quantile(0.95, 'pipeline', 'pipelineCriticalPath'), legend: `${PIPELINE} critical path` },
    ],
    links: ofPipeline,
  }),
]

const failing = [
  table({
    title: 'Which step fails',
    what: 'Step attempts that failed for good or ran out of time, in the time shown, and what part of the failures of their pipeline that is.',
    alerts: ['PipelineStepFailing'],
    by: { pipeline: 'Pipeline', step: 'Step' },
    columns: [
      {
        name: 'Failed',
        expr: `round(${sum(BY_STEP, counted('steps', { outcome: '~failure|timeout' }))}) > 0`,
        unit: 'short',
        bad: 1,
      },
      {
        name: 'Part of failures',
        expr: `${sum(BY_STEP, counted('steps', { outcome: '~failure|timeout' }))} / on (pipeline) group_left () (${sum('pipeline', counted('steps', { outcome: '~failure|timeout' }))} > 0) > 0`,
        unit: 'percentunit',
      },
    ],
    sortBy: 'Failed',
    links: [
      traces('Failed traces of this step', `{ name = "${SPAN.step(cell('Step'))}" && status = error }`),
      logLines(
        'Its warnings and errors',
        `{service=~".+", level=~"warning|error"} | json | pipeline="${cell('Pipeline')}" | step="${cell('Step')}"`,
      ),
    ],
  }),
  bars({
    title: 'Retries and time-outs by step',
    what: 'Step attempts that were tried again, or ran out of time, per minute or longer step.',
    unit: 'short',
    queries: [
      {
        expr: `${sum(`${BY_STEP}, outcome`, counted('steps', { outcome: '~retry|timeout' }, '$__interval'))} > 0`,
        legend: `${STEP} {{outcome}}`,
      },
    ],
    links: ofStep,
  }),
]

export const pipelines = dashboard({
  name: 'pipelines',
  title: 'Pipelines',
  what: 'Which runs fail, in which step, and where their time goes.',
  choices: ['pipeline'],
  rows: { Now: now, Runs: runs, 'Where the time goes': time, 'Which step': failing },
})
