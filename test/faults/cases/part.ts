// A part of telemetry that can be broken, and how that is done.
import type { TelemetryOptions } from 'taskspan/telemetry'
import type { Bench, ContenderName } from '../fault.ts'

export const boom = (): never => {
  throw new Error('telemetry broke')
}

export interface Part {
  readonly title: string
  /** Handed to contenders that have such an option. */
  readonly options?: TelemetryOptions
  /** Puts the fault in place before the contender starts. */
  readonly arrange?: (bench: Bench) => unknown
  /** Puts it in place once the contender has started. */
  readonly sabotage?: (bench: Bench) => unknown
  /** Default: everybody, but for options only those who know them. */
  readonly contenders?: readonly ContenderName[]
  /** Whether a scrape may be without the tasks: what it reads is what is broken. */
  readonly blind?: true
  /** Where no other place has it. */
  readonly place?: Bench['place']
}
