// A ready-counter loop as one writes it by hand, with spans that have the same attributes, links and active context.
import { randomUUID } from 'node:crypto'
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { longestPath } from './longest-path.mjs'

const tracer = trace.getTracer('hand')

/** @param options.named whether a step is given what it needs under its names, as ours is, instead of as a list */
export async function prepare(steps, { named }) {
  const dependants = steps.map(() => [])
  for (const [at, { needs }] of steps.entries()) for (const need of needs) dependants[need].push(at)
  const body = named ? async ({ input }, at) => input + at : async (outputs, at) => outputs.length + at

  return () => {
    const runId = randomUUID()
    const pipeline = tracer.startSpan('bench.pipeline', {
      kind: SpanKind.INTERNAL,
      attributes: {
        'taskiq.pipeline.name': 'bench',
        'taskiq.pipeline.run_id': runId,
        'taskiq.pipeline.steps': steps.length,
      },
    })
    const parent = trace.setSpan(context.active(), pipeline)
    const open = steps.map(({ needs }) => needs.length)
    const outputs = new Array(steps.length)
    const spans = new Array(steps.length)
    const path = longestPath(steps)
    let left = steps.length
    return new Promise((resolve, reject) => {
      const end = (span, outcome, error) => {
        span.setAttribute('taskiq.outcome', outcome)
        span.setAttribute('taskiq.step.outcome', outcome)
        if (error !== undefined) {
          span.setStatus({ code: SpanStatusCode.ERROR, message: error.message })
          span.recordException(error)
        }
        span.end()
      }
      const endPipeline = (outcome) => {
        pipeline.setAttributes({ 'taskiq.outcome': outcome, 'taskiq.pipeline.outcome': outcome, ...path.attributes() })
        pipeline.end()
      }
      const start = (at, readyAt) => {
        const { id, needs } = steps[at]
        const startedAt = performance.now()
        const span = tracer.startSpan(
          `step.${id}`,
          {
            kind: SpanKind.INTERNAL,
            attributes: {
              'taskiq.pipeline.name': 'bench',
              'taskiq.pipeline.run_id': runId,
              'taskiq.step.id': id,
              'taskiq.step.attempt': 1,
              'taskiq.step.needs': needs.slice(0, 64).map((need) => steps[need].id),
              'taskiq.step.wait_ms': Math.round((startedAt - readyAt) * 100) / 100,
            },
            links: needs.slice(0, 32).map((need) => ({ context: spans[need] })),
          },
          parent,
        )
        spans[at] = span.spanContext()
        const given = named ? { input: 1 } : needs.map((need) => outputs[need])
        if (named) for (const need of needs) given[steps[need].id] = outputs[need]
        context
          .with(trace.setSpan(parent, span), () => body(given, at))
          .then(
            (output) => {
              end(span, 'success')
              outputs[at] = output
              const now = performance.now()
              path.ended(at, now - startedAt)
              for (const dependant of dependants[at]) if (--open[dependant] === 0) start(dependant, now)
              if (--left === 0) {
                endPipeline('success')
                resolve(outputs.at(-1))
              }
            },
            (error) => {
              end(span, 'failure', error)
              endPipeline('failure')
              reject(error)
            },
          )
      }
      const now = performance.now()
      for (const [at, count] of open.slice().entries()) if (count === 0) start(at, now)
    })
  }
}
