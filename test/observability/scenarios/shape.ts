// What is shown of each alert.
import type { AlertName } from '../../../src/observability/alerts.ts'
import type { Scenario } from '../promtool.ts'

export interface Shown {
  /** It fires when its limit has been passed for long enough, not before, and ends when that is over. */
  readonly over: Scenario
  /** Nothing fires at the limit itself. */
  readonly atLimit: Scenario
  /** It fires when whoever told of it is gone. Of every alert on a queue, a worker or a broker, and on silent schedules. */
  readonly gone?: Scenario
  /** More that is worth a test of its own, by title. */
  readonly also?: Readonly<Record<string, Scenario>> | undefined
}

export type ShownAlerts = Readonly<Partial<Record<AlertName, Shown>>>
