// Brokers: short of memory, or refusing messages.
import { gone, vanished } from '../promql.ts'
import type { Group, Making } from '../rule.ts'
import { percent } from './tasks.ts'

export function brokerRules({ series, limits, recorded, alert }: Making): Group {
  const [memory, blocked] = [recorded('broker_memory:ratio'), recorded('broker_blocked:max')]
  const left = (of: string): string => gone(`(${vanished(of, 'broker', limits['forget-after'])})`)
  const told = (otherwise: string, gone: string): string =>
    `{{ if eq $labels.reason "gone" }}${gone}{{ else }}${otherwise}{{ end }}`
  const titled = (otherwise: string): string =>
    told(`The broker {{ $labels.broker }} ${otherwise}`, 'Nobody tells about the broker {{ $labels.broker }} any more')
  const silent = (minutes: number): string => `For ${minutes} min: it does not answer, or who watched it is gone.`
  return {
    name: 'taskspan-brokers',
    rules: [
      { record: memory, expr: `max by (broker) (${series.brokerMemory})` },
      { record: blocked, expr: `max by (broker) (${series.brokerBlocked})` },
      alert('BrokerMemoryHigh', {
        expr: `${memory} > ${limits['broker-memory']} or ${left(memory)}`,
        for: '5m',
        summary: titled('is short of memory'),
        description: told(
          `It uses {{ $value | humanizePercentage }} of what it may use (limit ${percent(limits['broker-memory'])}), for 5 min.`,
          `${silent(5)} When it was seen last, it used {{ $value | humanizePercentage }} of what it may use.`,
        ),
      }),
      alert('BrokerBlocked', {
        expr: `${blocked} == 1 or ${left(blocked)}`,
        for: '2m',
        summary: titled('takes no messages'),
        description: told('For 2 min: it is out of memory, or in alarm. Producers wait or fail.', silent(2)),
      }),
    ],
  }
}
