// A pipeline: typed steps that run side by side, a retry, a skip, and a picture. Run: npx tsx examples/11-pipeline.ts
// prints: analysis\.pipeline .*✓
// prints: step\.detect_cuts .*↻ retry
// prints: step\.subtitles .*skipped
// prints: critical path: download > \w+ > apply_cuts
// prints: s2\["detect_cuts<br/>success .* attempt 2"\]
// prints: PIPELINE_FAILED at transcribe: no words in this language
import { setTimeout as work } from 'node:timers/promises'
import { PipelineError, pipeline } from 'taskspan/pipeline'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'
import { z } from 'zod'

const sdk = start({ app: 'clips', worker: 'analysis' }) // to OTEL_EXPORTER_OTLP_ENDPOINT, or as waterfalls to this terminal
const t = telemetry()

// A step names the steps that it is after, and gets exactly their outputs. Only earlier ones can be named: no cycles.
const analysis = pipeline('analysis', t)
  .input(z.object({ project: z.string(), language: z.string().default('en') }))
  .step('download', async ({ input, signal }) => {
    await work(40, undefined, { signal }) // stops when the run does
    return { path: `${input.project}.mp4`, seconds: 90 }
  })
  .step('transcribe', ['download'], async ({ download, input }) => {
    await work(300)
    if (input.language === 'xx') throw new Error('no words in this language')
    return `words of ${download.path}`
  })
  .step(
    'detect_cuts',
    ['download'],
    async ({ download, attempt, log }) => {
      log.info({ seconds: download.seconds }, 'looking for cuts') // with trace_id, run_id and step
      await work(30)
      if (attempt === 1) throw new Error('detector busy')
      return [12, 57]
    },
    { retries: 2, backoff: { initialMs: 10 }, timeoutMs: 5_000 },
  )
  .step('subtitles', ['transcribe'], ({ transcribe }) => transcribe.length, {
    skip: ({ input }) => input.language === 'en' && 'same language',
    optional: true, // what needs it runs all the same, and gets `undefined`
  })
  .step('apply_cuts', ['transcribe', 'detect_cuts', 'subtitles'], async ({ transcribe, detect_cuts, subtitles }) => {
    await work(20)
    return `${transcribe}, cut at ${detect_cuts.join(' and ')}, ${subtitles ?? 'no'} subtitles`
  })
  .finally('remove_files', ['download'], async ({ download, outcome }) => {
    console.log(`removing ${download?.path} after ${outcome}`)
  })

const run = analysis.run({ project: 'holiday' })
const { apply_cuts } = await run // string: inferred from the steps
console.log(apply_cuts)
console.log('critical path:', run.report().criticalPath.join(' > '))
console.log(run.toMermaid()) // for a README, a ticket, https://mermaid.live

// The first failure aborts the others, and says where it was.
await analysis.run({ project: 'holiday', language: 'xx' }).catch((error: unknown) => {
  if (!(error instanceof PipelineError)) throw error
  console.log(`${error.code} at ${error.step}: ${(error.cause as Error).message}`)
})

await sdk.close()
