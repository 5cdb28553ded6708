// Telemetry's own faults and caps: what they hide is seen nowhere else.
import { gained, WHO } from '../promql.ts'
import type { Group, Making } from '../rule.ts'

export function telemetryRules({ series, recorded, alert }: Making): Group {
  // Also who was there within the window: the name must not change when the process ends, or the alert would be another.
  const info = `(${recorded('worker:info')} or on (job, instance) topk by (job, instance) (1, last_over_time(${recorded('worker:info')}[15m])))`
  // By process where nobody knows which worker it is.
  const by = (labels: string, counter: string): string => {
    const perProcess = `sum by (job, instance, ${labels}) (${gained(counter, '15m')})`
    return `(sum by (app, worker, ${labels}) (${perProcess} * on (job, instance) group_left (app, worker) ${info}) or (${perProcess} unless on (job, instance) ${info})) > 0`
  }
  return {
    name: 'taskspan-telemetry',
    rules: [
      alert('TelemetryErrors', {
        expr: by('part, reason', series.telemetryErrors),
        summary: `Telemetry of ${WHO} has faults: {{ $labels.part }} {{ $labels.reason }}`,
        description: '{{ $value }} faults in the last 15 min. No task was affected; what is shown may have gaps.',
      }),
      alert('LabelOverflow', {
        expr: by('label', series.labelOverflow),
        summary: `${WHO} has too many values of the label {{ $labels.label }}`,
        description: '{{ $value }} times in the last 15 min a value beyond the cap was counted under "other".',
      }),
    ],
  }
}
