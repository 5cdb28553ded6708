// A graph whose steps are known only at run time, four at a time, that goes on after a failure.
// Run: npx tsx examples/14-pipeline-from-data.ts
// prints: the steps wait for each other: thumbnail > poster > thumbnail
// prints: failed: clip_3; skipped because of it: report
// prints: clip_5 .*ms
import { setTimeout as work } from 'node:timers/promises'
import { type PipelineError, pipeline, type StepData } from 'taskspan/pipeline'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'

const sdk = start({ app: 'clips', worker: 'batch' }) // to OTEL_EXPORTER_OTLP_ENDPOINT, or as waterfalls to this terminal
const t = telemetry({ logging: false })

// Steps from a plan, a file, a database: in any order. What is wrong with them is named, with the path.
try {
  pipeline('wrong', t).steps([
    { id: 'poster', after: ['thumbnail'], run: () => {} },
    { id: 'thumbnail', after: ['poster'], run: () => {} },
  ])
} catch (error) {
  console.log((error as Error).message)
}

const clips = Array.from({ length: 8 }, (_, at) => `clip_${at}`)
const steps: StepData<string>[] = clips.map((id, at) => ({
  id,
  run: async ({ input, signal }) => {
    await work(20 + 10 * at, undefined, { signal })
    if (at === 3) throw new Error('codec crashed')
    return `${input}/${id}.mp4`
  },
}))
steps.push({ id: 'report', after: clips, run: (outputs) => clips.map((id) => outputs[id]) })
steps.push({ id: 'count', after: clips.slice(0, 2), run: (outputs) => Object.keys(outputs).length })

const batch = pipeline<string>('batch', t)
  .options({ concurrency: 4, onFailure: 'continue' }) // runs all that does not need what failed, and rejects at the end
  .steps(steps)

const run = batch.run('/srv/out')
await run.catch((error: PipelineError) => {
  const skipped = run.report().steps.filter(({ status }) => status === 'skipped')
  console.log(`failed: ${error.step}; skipped because of it: ${skipped.map(({ id }) => id).join(', ')}`)
})
for (const { id, status, waitMs, durationMs } of run.report().steps) {
  console.log(id.padEnd(8), status.padEnd(8), `waited ${waitMs} ms, ran ${durationMs} ms`)
}

await sdk.close()
