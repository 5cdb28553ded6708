// What the compiler says of pipelines: outputs inferred, only earlier steps nameable, every wrong use refused.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Checkpoint, type PipelineReport, type PipelineRun, pipeline, type StepOptions } from 'taskspan/pipeline'
import { z } from 'zod'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(): T | undefined => undefined

interface Clip {
  readonly path: string
}

const analysis = pipeline<{ project: string }>('analysis')
  .step('download', async ({ input, signal, attempt, log, progress }) => {
    holds<Same<typeof input, { project: string }>>()
    holds<Same<typeof signal, AbortSignal>>()
    holds<Same<typeof attempt, number>>()
    log.info({ attempt }, 'downloading')
    log.warn('slow')
    progress(1, 2)
    progress(2)
    return { path: input.project } as Clip
  })
  .step('transcribe', ['download'], async ({ download }) => `words of ${download.path}`, { timeoutMs: 5, retries: 2 })
  .step('detect_cuts', ['download'], ({ download }) => [download.path.length], { backoff: { initialMs: 1 } })
  .step('apply_cuts', ['transcribe', 'detect_cuts'], ({ transcribe, detect_cuts }) => {
    holds<Same<typeof transcribe, string>>()
    holds<Same<typeof detect_cuts, number[]>>()
    return detect_cuts.length > 0 ? transcribe : undefined
  })
  .finally('clean_up', ({ outcome, error }) => {
    holds<Same<typeof outcome, 'success' | 'failure' | 'cancelled'>>()
    holds<Same<typeof error, unknown>>()
  })
  .finally('remove_download', ['download'], ({ download }) => {
    holds<Same<typeof download, Clip | undefined>>() // it may not have run
  })

// The outputs that no step names come back, and those that one asks to keep.
const run = analysis.run({ project: 'p' })
holds<Same<Awaited<typeof run>, { readonly apply_cuts: string | undefined }>>()
const report: PipelineReport = run.report()
const pictures: string[] = [run.toMermaid(), run.toDot(), analysis.toMermaid(), analysis.toDot()]
const kept = analysis.run({ project: 'p' }, { keep: ['download'], id: 'r-1', signal: AbortSignal.timeout(5) })
holds<Same<Awaited<typeof kept>, { readonly apply_cuts: string | undefined; readonly download: Clip }>>()
const all = analysis.run({ project: 'p' }, { keep: true })
holds<Same<keyof Awaited<typeof all>, 'download' | 'transcribe' | 'detect_cuts' | 'apply_cuts'>>()
holds<Same<Awaited<typeof all>['detect_cuts'], number[]>>()

// Optional steps give `undefined` to those that need them; a skip leaves holes only in what is returned.
const lenient = pipeline<number>('lenient')
  .step('probe', ({ input }) => input, { optional: true })
  .step('subtitles', ({ input }) => String(input), {
    skip: ({ input }) => {
      holds<Same<typeof input, number>>()
      return input > 5 && 'too long'
    },
  })
  .step('burn', ['probe', 'subtitles'], ({ probe, subtitles }) => {
    holds<Same<typeof probe, number | undefined>>()
    holds<Same<typeof subtitles, string>>()
    return true
  })
  .step('thumbnail', ['probe'], ({ probe }) => probe ?? 0)
  .step('poster', ['subtitles'], ({ subtitles }) => subtitles, {
    optional: true,
    skip: async ({ subtitles }) => (subtitles === '' ? 'empty' : false),
  })
const holes = lenient.run(5)
holds<Same<Awaited<typeof holes>['burn'], boolean | undefined>>() // its need may be skipped
holds<Same<Awaited<typeof holes>['thumbnail'], number>>()
holds<Same<Awaited<typeof holes>['poster'], string | undefined>>()

// Options may be written once for many steps. The type alone does not say that none of them is optional.
const patient: StepOptions = { timeoutMs: 5, retries: 2 }
const steady = { timeoutMs: 5, retries: 2 } satisfies StepOptions
void pipeline('patient')
  .step('first', () => 5, patient)
  .step('second', () => 5, steady)
  .step('both', ['first', 'second'], ({ first, second }) => {
    holds<Same<typeof first, number | undefined>>()
    holds<Same<typeof second, number>>()
  })

// No input is no argument.
const empty = pipeline('empty').step('only', () => 5)
holds<Same<Awaited<ReturnType<typeof empty.run>>, { readonly only: number }>>()
void empty.run()
void empty.run(undefined, { keep: true })

// A schema says what goes in, and what steps get.
const checked = pipeline('checked')
  .input(z.object({ size: z.coerce.number<string>(), name: z.string().default('clip') }))
  .options({ concurrency: 2, onFailure: 'continue' })
  .step('use', ({ input }) => {
    holds<Same<typeof input, { size: number; name: string }>>()
    return input.size
  })
void checked.run({ size: '5' })

// Two pipelines may be continued from one.
const common = pipeline<string>('common').step('load', ({ input }) => input)
const left: PipelineRun<{ readonly left: string }> = common.step('left', ['load'], ({ load }) => load).run('x')
const right: PipelineRun<{ readonly right: number }> = common
  .step('right', ['load'], ({ load }) => load.length)
  .run('x')

// Steps from data, and typed steps after them.
const data: string[] = ['a', 'b']
const dynamic = pipeline<number>('dynamic')
  .steps(
    data.map((id, at) => ({ id, after: data.slice(0, at), run: ({ input, signal, ...outputs }) => [input, outputs] })),
  )
  .step('sum', ['a', 'b'], ({ a }) => {
    holds<Same<typeof a, unknown>>()
    return 5
  })
void dynamic.run(5)

const checkpoint: Checkpoint = { load: async () => undefined, save: async () => {} }
void analysis.run({ project: 'p' }, { checkpoint, progress: true })
void analysis.run({ project: 'p' }, { progress: ({ completed, total, percent }) => sleep(completed + total + percent) })
export const used = [report, pictures, left, right]

declare const anything: string
const one = pipeline<number>('one').step('first', () => 'a')

// @ts-expect-error a later step
one.step('second', ['third'], () => {}).step('third', () => {})
// @ts-expect-error itself
one.step('second', ['second'], () => {})
// @ts-expect-error an output that it did not name
one.step('second', ({ first }) => first)
// @ts-expect-error an output that it did not name
one.step('second', () => 5).step('third', ['second'], ({ first }) => first)
// @ts-expect-error not the output's type
one.step('second', ['first'], ({ first }): number => first)
// @ts-expect-error taken
one.step('first', () => {})
// @ts-expect-error taken by a final step
one.finally('last', () => {}).finally('last', () => {})
// @ts-expect-error taken by a final step
one.finally('last', () => {}).step('last', () => {})
// @ts-expect-error a final step has no dependants
one.finally('last', () => {}).step('second', ['last'], () => {})
// @ts-expect-error reserved
one.step('input', () => {})
// @ts-expect-error reserved: outputs with a `then` would be taken for a promise
one.step('then', () => {})
// @ts-expect-error upper case
one.step('Second', () => {})
// @ts-expect-error a digit first
one.step('2nd', () => {})
// @ts-expect-error a dash
one.step('sec-ond', () => {})
// @ts-expect-error nothing
one.step('', () => {})
// @ts-expect-error 65 characters
one.step('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', () => {})
one.step('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', () => {}) // 64
// @ts-expect-error known only at run time
one.step(anything, () => {})
// @ts-expect-error no such option
one.step('second', () => {}, { timeout: 5 })
// @ts-expect-error not a number
one.step('second', () => {}, { retries: '2' })
// @ts-expect-error a skip gives a reason or false
one.step('second', () => {}, { skip: () => 5 })
// @ts-expect-error the skip sees what the step named
one.step('second', () => {}, { skip: ({ first }) => first })
// @ts-expect-error final steps always run
one.finally('last', () => {}, { skip: () => 'no' })
// @ts-expect-error no such policy
one.options({ onFailure: 'ignore' })
// @ts-expect-error not its input
one.run('5')
// @ts-expect-error no input
one.run()
// @ts-expect-error no such step to keep
one.run(5, { keep: ['second'] })
// @ts-expect-error only load
one.run(5, { checkpoint: { load: async () => undefined } })
// @ts-expect-error the schema comes before the steps
one.input(z.string())
// @ts-expect-error no schema
pipeline('one').input({ parse: () => 5 })
one.run(5).then((outputs) => {
  // @ts-expect-error outputs do not change
  outputs.first = 'b'
})
// @ts-expect-error not what the schema takes
checked.run({ size: 5 })
