// What the rows of the queues' dashboard have in common.
import { chosen, max, phrases } from '../../phrases.ts'

export const { series, gauge, last, rate, counted, quantile } = phrases('queue', 'task')
export const READY = { state: '~waiting|prioritized' } as const
export const QUEUE = '{{queue}}'

/** What is ready, by queue and state, whoever saw it. */
export const ready = max('queue, state', gauge('queueDepth', READY))
/** How much more that is, per second. */
export const growth = max('queue, state', chosen(`deriv(${series('queueDepth', READY)}[5m])`))
