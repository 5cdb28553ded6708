// Schedules: silent, late, missed, overlapping. A schedule whose process is gone goes on being judged from memory.
import { secondsOf } from '../durations.ts'
import { carried, gained, gone } from '../promql.ts'
import type { Group, Making, Recording } from '../rule.ts'

// Below this, scrapes and looks are too far apart to tell.
const LEAST_SILENCE = 120
const LATE_AFTER = 300

export function scheduleRules(making: Making): Group {
  const { series, recorded, alert } = making
  const [interval, success] = [recorded('cron_interval:last'), recorded('cron_last_success:last')]
  const [longest, next] = [recorded('cron_interval:longest'), recorded('cron_next_run:last')]
  // While Monday's first run lasts, its next is a day away, and the last success was on Friday.
  const tooLong = `(time() - ${success}) > on (schedule) clamp_min(${longest} + ${interval}, ${LEAST_SILENCE})`
  // Every process that watches a schedule counts the same.
  const counted = (counter: string): string => `max by (schedule) (${gained(counter, '15m')}) > 0`
  return {
    name: 'taskspan-schedules',
    rules: [
      ...memory(making),
      alert('CronSilent', {
        expr: tooLong,
        for: '1m',
        summary: 'The schedule {{ $labels.schedule }} is silent',
        description: 'It has not succeeded for {{ $value | humanizeDuration }}, more than twice its interval.',
      }),
      alert('CronMissed', {
        expr: `${counted(series.cronMissed)} or label_replace(time() - ${next} > ${LATE_AFTER}, "reason", "late", "", "")`,
        summary: 'The schedule {{ $labels.schedule }} misses runs',
        description:
          '{{ if eq $labels.reason "late" }}Its next run was due {{ $value | humanizeDuration }} ago.{{ else }}{{ $value }} runs did not start in the last 15 min.{{ end }}',
      }),
      alert('CronOverlapping', {
        // That nobody tells of a schedule alone says nothing: a nightly one may be told of from its first run on.
        expr: `${counted(series.cronOverlaps)} or ${gone(`((${tooLong}) unless on (schedule) ${series.cronInterval})`)}`,
        for: '2m',
        summary:
          '{{ if eq $labels.reason "gone" }}Nobody tells of the schedule {{ $labels.schedule }} any more{{ else }}Runs of the schedule {{ $labels.schedule }} overlap{{ end }}',
        description:
          '{{ if eq $labels.reason "gone" }}It has not succeeded for {{ $value | humanizeDuration }}, more than twice its interval, and whether its runs overlap is not known.{{ else }}{{ $value }} runs started in the last 15 min while another still ran.{{ end }}',
      }),
    ],
  }
}

// Each of these carries itself on when nobody tells any more: a nightly schedule is found silent two days later, also when
// its process died or was released anew in between. What has long been silent is let go.
function memory({ series, limits, recorded }: Making): Recording[] {
  const forget = secondsOf(limits['forget-after'])
  const [interval, success] = [recorded('cron_interval:last'), recorded('cron_last_success:last')]
  const [longest, next] = [recorded('cron_interval:longest'), recorded('cron_next_run:last')]
  const told = (name: string): string => `max by (schedule) (${name})`
  return [
    {
      record: interval,
      expr: `${told(series.cronInterval)}\nor\n(${carried(interval)} and on (schedule) time() - ${carried(success)} < 3 * ${carried(interval)} + ${forget})`,
    },
    {
      // Since the last success: before that is recorded anew, a newer one lets the intervals before it go. For a day at most:
      // a schedule may have been changed, and fail since.
      record: longest,
      expr: `(${carried(longest)} > ${interval} <= max_over_time(${interval}[1d]) unless on (schedule) (${told(series.cronLastSuccess)} > on (schedule) ${carried(success)}))\nor\n${interval}`,
    },
    {
      // Never falls back: the process with the newest run may be the one that ended. One that never succeeded counts from
      // when it was first seen.
      record: success,
      expr: `max by (schedule) (${series.cronLastSuccess} or ${carried(success)}) and on (schedule) ${interval}\nor\n${interval} * 0 + time()`,
    },
    { record: next, expr: `${told(series.cronNextRun)}\nor\n(${carried(next)} and on (schedule) ${interval})` },
  ]
}
