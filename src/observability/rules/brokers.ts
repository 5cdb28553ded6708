// Brokers: short of memory, or refusing messages.
import { gone, vanished } from '../promql.ts'
import type { Group, Making } from '../rule.ts'
import { percent } from './tasks.ts'

export function brokerRules({ series, limits, recorded, alert }: Making): Group {
  const [memory, blocked] = [recorded('broker_memory:ratio'), recorded('broker_blocked:max')]
  const left = (of: string): string => gone(`(${vanished(of, 'broker', limits['forget-after'])})`)
  const told = (otherwise: string): string =>
    `{{ if eq $labels.reason "gone" }}Nobody tells about it any more: it does not answer, or who watched it is gone.{{ else }}${otherwise}{{ end }}`
  return {
    name: 'taskspan-brokers',
    rules: [
      { record: memory, expr: `max by (broker) (${series.brokerMemory})` },
      { record: blocked, expr: `max by (broker) (${series.brokerBlocked})` },
      alert('BrokerMemoryHigh', {
        expr: `${memory} > ${limits['broker-memory']} or ${left(memory)}`,
        for: '5m',
        summary: 'The broker {{ $labels.broker }} is short of memory',
        description: told(
          `It uses {{ $value | humanizePercentage }} of what it may use (limit ${percent(limits['broker-memory'])}), for 5 min.`,
        ),
      }),
      alert('BrokerBlocked', {
        expr: `${blocked} == 1 or ${left(blocked)}`,
        for: '2m',
        summary: 'The broker {{ $labels.broker }} takes no messages',
        description: told('It is out of memory, or in alarm. Producers wait or fail.'),
      }),
    ],
  }
}
