// Pipelines: how many runs fail, how long they take, and the step that is at fault.
import { inWords, secondsOf } from '../durations.ts'
import { gained } from '../promql.ts'
import type { Group, Making } from '../rule.ts'
import { counts, ratio } from './ratio.ts'
import { percent } from './tasks.ts'

// Fewer failures than these point at no step.
const FAILURES = 5

export function pipelineRules({ series, limits, recorded, alert }: Making): Group {
  const [rate, duration] = [limits['pipeline-failure-rate'], limits['pipeline-duration']]
  const failing = recorded('pipeline_failure:ratio')
  const counted = { ended: recorded('pipelines_ended:count5m'), failed: recorded('pipelines_failed:count5m') }
  const failures = recorded('step_failures:count1h')
  return {
    name: 'taskspan-pipelines',
    rules: [
      ...counts(
        counted,
        `${series.pipelines}{outcome=~"success|failure"}`,
        `${series.pipelines}{outcome="failure"}`,
        'pipeline',
      ),
      ratio(failing, counted, 'pipeline', limits['at-least']),
      alert('PipelineFailureRateHigh', {
        expr: `${failing} > ${rate}`,
        for: '5m',
        summary: 'The pipeline {{ $labels.pipeline }} fails',
        description: `{{ $value | humanizePercentage }} of its runs failed (limit ${percent(rate)}, at least ${limits['at-least']} runs), for 5 min.`,
      }),
      alert('PipelineDurationP99High', {
        expr: `histogram_quantile(0.99, sum by (pipeline, le) (rate(${series.pipelineDuration}_bucket[5m]))) > ${secondsOf(duration)}`,
        for: '5m',
        summary: 'The pipeline {{ $labels.pipeline }} takes long',
        description: `One in a hundred runs takes {{ $value | humanizeDuration }} or more (p99, limit ${inWords(duration)}), for 5 min.`,
      }),
      {
        record: failures,
        expr: `sum by (pipeline, step) (${gained(`${series.steps}{outcome=~"failure|timeout"}`, '1h')})`,
      },
      alert('PipelineStepFailing', {
        expr: `${failures} / on (pipeline) group_left () sum by (pipeline) (${failures}) > 0.5 and on (pipeline) sum by (pipeline) (${failures}) >= ${FAILURES}`,
        summary: 'The step {{ $labels.step }} causes most failures of the pipeline {{ $labels.pipeline }}',
        description: `{{ $value | humanizePercentage }} of the failed steps of the last hour (at least ${FAILURES}).`,
      }),
    ],
  }
}
