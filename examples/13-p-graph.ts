// An executor that you have already, here p-graph, with the spans of a pipeline. Run: npx tsx examples/13-p-graph.ts
// prints: build\.pipeline .*✓
// prints: step\.bundle .*✓
// prints: critical path: install > \w+ > bundle
// prints: taskiq_steps_total\{pipeline="build",step="bundle",outcome="success"\} 1
import { setTimeout as work } from 'node:timers/promises'
import { PGraph } from 'p-graph'
import { register } from 'prom-client'
import { render } from 'taskspan/metrics'
import { tracePipeline, traceStep } from 'taskspan/pipeline'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'

const sdk = start({ app: 'tools', worker: 'build' }) // to OTEL_EXPORTER_OTLP_ENDPOINT, or as waterfalls to this terminal

const targets = [
  { id: 'install', needs: [], ms: 60 },
  { id: 'lint', needs: ['install'], ms: 40 },
  { id: 'compile', needs: ['install'], ms: 120 },
  { id: 'bundle', needs: ['compile', 'lint'], ms: 30 },
]

// Around each node `traceStep`, around the whole `tracePipeline`: the executor stays what it was.
const nodes = new Map(targets.map(({ id, needs, ms }) => [id, { run: () => traceStep(id, needs, () => work(ms)) }]))
const edges = targets.flatMap(({ id, needs }) => needs.map((need): [string, string] => [need, id]))

await tracePipeline('build', telemetry(), async (pipeline) => {
  await new PGraph(nodes, edges).run()
  console.log('critical path:', pipeline.report().criticalPath.join(' > '))
})

await sdk.close()
const { body } = await render(register)
for (const line of body.split('\n')) if (line.startsWith('taskiq_steps_total{')) console.log(line)
