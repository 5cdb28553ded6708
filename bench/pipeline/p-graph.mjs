// p-graph with the same spans around each node.
import { randomUUID } from 'node:crypto'
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { PGraph } from 'p-graph'
import { longestPath } from './longest-path.mjs'

const tracer = trace.getTracer('p-graph')

export async function prepare(steps) {
  const edges = steps.flatMap(({ id, needs }) => needs.map((need) => [steps[need].id, id]))
  const body = async (outputs, at) => outputs.length + at

  return async () => {
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
    const outputs = new Array(steps.length)
    const spans = new Array(steps.length)
    const path = longestPath(steps)
    const one = async (at) => {
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
            'taskiq.step.wait_ms': 0,
          },
          links: needs.slice(0, 32).map((need) => ({ context: spans[need] })),
        },
        parent,
      )
      spans[at] = span.spanContext()
      let outcome = 'success'
      try {
        const given = needs.map((need) => outputs[need])
        outputs[at] = await context.with(trace.setSpan(parent, span), () => body(given, at))
      } catch (error) {
        outcome = 'failure'
        span.setStatus({ code: SpanStatusCode.ERROR, message: error.message })
        span.recordException(error)
        throw error
      } finally {
        span.setAttribute('taskiq.outcome', outcome)
        span.setAttribute('taskiq.step.outcome', outcome)
        span.end()
        path.ended(at, performance.now() - startedAt)
      }
    }
    // A PGraph runs once: making it belongs to the run.
    const nodes = new Map(steps.map(({ id }, at) => [id, { run: () => one(at) }]))
    let outcome = 'failure'
    try {
      await new PGraph(nodes, edges).run()
      outcome = 'success'
    } finally {
      pipeline.setAttributes({ 'taskiq.outcome': outcome, 'taskiq.pipeline.outcome': outcome, ...path.attributes() })
      pipeline.end()
    }
    return outputs.at(-1)
  }
}
