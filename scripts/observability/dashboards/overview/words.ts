// What the rows of the overview have in common: the contract's failure rate, names, links.
import { THRESHOLDS } from '../../../../src/observability/thresholds.ts'
import { lines as logLines, of, spanOf, traces } from '../../links.ts'
import { ENDED, FAILED, phrases, share, sum } from '../../phrases.ts'

export const { gauge, last, rate, counted, quantile, average } = phrases('queue', 'task')
export const BY_TASK = 'queue, task_name'
export const LEGEND = '{{queue}} {{task_name}}'
export const ENOUGH = `>= ${THRESHOLDS['at-least'].default}`

/** Lost attempts are failures; retries, deferrals, cancellations and rejections are neither. */
export const failureRate = (by: string, over: string, enough?: string): string =>
  share(
    sum(by, counted('tasks', { outcome: FAILED }, over)),
    sum(by, counted('tasks', { outcome: ENDED }, over)),
    enough,
  )

export const ofTask = [
  traces('Traces of this task', `{ name = "${spanOf(of('task_name'))}" }`),
  logLines('Lines of this task', `{service=~".+"} | json | task_name="${of('task_name')}"`),
]
