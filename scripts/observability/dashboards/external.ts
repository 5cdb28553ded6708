// External services: are those that we call there, fast, and how much of them do we use?
import { SPAN } from '../../../src/kernel/names.ts'
import { dashboard } from '../frame.ts'
import { cell, lines as logLines, of, traces } from '../links.ts'
import { bars, lines, number } from '../panels.ts'
import { phrases, RANGE, RATE, share, sum } from '../phrases.ts'
import { table } from '../table.ts'

const { rate, counted, quantile } = phrases('service')
const BY_CALL = 'service, operation'
const CALL = '{{service}} {{operation}}'
const ofCall = [traces('Traces of these calls', `{ name = "${SPAN.ext(of('service'), of('operation'))}" }`)]
const ofService = [
  traces('Traces of this service', `{ name =~ "${SPAN.ext(of('service'), '.*')}" }`),
  logLines(
    'Its failed calls',
    `{service=~".+", level="warning"} | json | message="ext.failed" | ext="${of('service')}"`,
  ),
]

const calls = (by: string): string => sum(by, rate('extDuration', {}, RATE, '_count'))
const errorRate = (by: string, over: string): string =>
  share(
    sum(by, counted('extDuration', { result: 'error' }, over, '_count')),
    sum(by, counted('extDuration', {}, over, '_count')),
  )

const now = [
  number({
    title: 'Calls',
    what: 'Calls under ext() per second.',
    unit: 'suffix:/s',
    w: 6,
    expr: calls(''),
  }),
  number({
    title: 'Error rate',
    what: 'Calls that threw, as a part of all, in the last 5 min.',
    alerts: ['ExternalErrorRateHigh'],
    lines: ['ext-error-rate'],
    unit: 'percentunit',
    w: 6,
    none: 'no calls',
    expr: errorRate('', '5m'),
  }),
  number({
    title: 'Duration p99',
    what: 'One call in a hundred took longer, in the time shown.',
    unit: 's',
    w: 6,
    none: 'no calls',
    expr: quantile(0.99, '', 'extDuration', {}, RANGE),
  }),
  number({
    title: 'Lowest availability',
    what: 'Calls that did not throw, as a part of all in the time shown, of the service where that is lowest.',
    alerts: ['ExternalErrorRateHigh'],
    unit: 'percentunit',
    w: 6,
    none: 'no calls',
    expr: `1 - max(${errorRate('service', RANGE)})`,
  }),
]

const red = [
  lines({
    title: 'Rate by service and operation',
    what: 'Calls under ext() per second.',
    unit: 'suffix:/s',
    w: 8,
    queries: [{ expr: calls(BY_CALL), legend: CALL }],
    links: ofCall,
  }),
  lines({
    title: 'Error rate by service',
    what: 'Calls that threw, as a part of all in the last 5 min, and in the hour before. The alert asks for both: above the limit, and three times the hour before.',
    alerts: ['ExternalErrorRateHigh'],
    lines: ['ext-error-rate'],
    unit: 'percentunit',
    w: 8,
    queries: [
      { expr: errorRate('service', '5m'), legend: '{{service}}' },
      { expr: errorRate('service', '1h'), legend: '{{service}} last hour' },
    ],
    links: ofService,
  }),
  lines({
    title: 'Duration p50, p95, p99',
    what: 'How long calls took, by service and operation. Dots lead to traces.',
    unit: 's',
    exemplars: true,
    w: 8,
    queries: [0.5, 0.95, 0.99].map((q) => ({
      expr: quantile(q, BY_CALL, 'extDuration'),
      legend: `${CALL} p${q * 100}`,
    })),
    links: ofCall,
  }),
]

const each = [
  table({
    title: 'Each operation',
    what: 'Calls, availability (calls that did not throw) and durations of each operation, in the time shown.',
    alerts: ['ExternalErrorRateHigh'],
    w: 16,
    by: { service: 'Service', operation: 'Operation' },
    columns: [
      { name: 'Calls', expr: `round(${sum(BY_CALL, counted('extDuration', {}, RANGE, '_count'))})`, unit: 'short' },
      { name: 'Availability', expr: `1 - (${errorRate(BY_CALL, RANGE)})`, unit: 'percentunit' },
      { name: 'p50', expr: quantile(0.5, BY_CALL, 'extDuration', {}, RANGE), unit: 's' },
      { name: 'p99', expr: quantile(0.99, BY_CALL, 'extDuration', {}, RANGE), unit: 's' },
    ],
    sortBy: 'p99',
    links: [traces('Traces of these calls', `{ name = "${SPAN.ext(cell('Service'), cell('Operation'))}" }`)],
  }),
  table({
    title: 'Used',
    what: 'What usage() counted in the time shown, by unit: tokens, seconds, bytes, money.',
    w: 8,
    by: { service: 'Service', operation: 'Operation', unit: 'Unit' },
    columns: [{ name: 'Used', expr: sum(`${BY_CALL}, unit`, counted('extUsage')), unit: 'short' }],
    sortBy: 'Used',
  }),
]

const usage = [
  lines({
    title: 'Availability by service',
    what: 'Calls that did not throw, as a part of all in the last 5 min.',
    alerts: ['ExternalErrorRateHigh'],
    unit: 'percentunit',
    max: 1,
    queries: [{ expr: `1 - (${errorRate('service', '5m')})`, legend: '{{service}}' }],
    links: ofService,
  }),
  bars({
    title: 'Used by unit',
    what: 'What usage() counted, per minute or longer step.',
    unit: 'short',
    queries: [
      { expr: `${sum('service, unit', counted('extUsage', {}, '$__interval'))} > 0`, legend: '{{service}} {{unit}}' },
    ],
    links: ofService,
  }),
]

export const external = dashboard({
  name: 'external',
  title: 'External services',
  what: 'Are the services that we call there, how fast are they, and how much of them do we use? From ext() and usage().',
  choices: ['service'],
  rows: { Now: now, 'Rate, errors, duration': red, 'Each operation': each, 'Availability and usage': usage },
})
