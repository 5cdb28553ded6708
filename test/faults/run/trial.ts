// Tries one contender with one fault, in processes that may hang or end: each case that was begun is judged.
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Setting } from '../bench/bench.ts'
import type { Fault } from '../fault.ts'
import { casesOf } from './cases.ts'
import type { Order, Word } from './child.ts'

export interface Result {
  readonly tried: number
  readonly survived: number
  /** What was not survived, and how that was seen. */
  readonly lost: readonly { readonly title: string; readonly why: string }[]
}

export interface TrialOptions extends Setting {
  readonly fault: Fault
  /** Ends with the first case that was not survived. */
  readonly untilLost?: boolean
  readonly progress?: (tried: number, of: number) => void
}

// A process must load its packages first; on a busy machine that takes seconds.
const START_MS = 60_000

export async function tryOut({ fault, untilLost = false, progress, ...setting }: TrialOptions): Promise<Result> {
  const cases = casesOf(fault, setting)
  const lost: { title: string; why: string }[] = []
  let from = 0
  while (from < cases.length) {
    const { at, why } = await fromCase({ ...setting, fault: fault.name, from }, cases.length, (at) => {
      progress?.(at, cases.length)
      return cases[at]?.patienceMs ?? setting.form.patienceMs
    })
    from = at + 1
    if (why === undefined) continue
    lost.push({ title: cases[at]?.title ?? 'before the first case', why })
    if (untilLost) break
  }
  progress?.(from, cases.length)
  return { tried: from, survived: from - lost.length, lost }
}

/** Goes on until all cases are through, or one of them was not survived. */
function fromCase(
  order: Order,
  count: number,
  begun: (at: number) => number,
): Promise<{ readonly at: number; readonly why?: string }> {
  const child = start()
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_000)
  })
  return new Promise((resolve) => {
    let at = order.from
    let timer: NodeJS.Timeout
    const end = (why?: string): void => {
      clearTimeout(timer)
      child.removeAllListeners()
      child.kill('SIGKILL')
      resolve({ at, ...(why !== undefined && { why }) })
    }
    const patience = (ms: number): void => {
      clearTimeout(timer)
      timer = setTimeout(() => end(`nothing more happened within ${ms} ms`), ms)
    }
    child.on('exit', (code, signal) => end(`the process ended (${signal ?? code}): ${lastError(said)}`))
    child.on('message', (word: Word) => {
      at = word.at
      if (word.kind === 'begun') patience(begun(at))
      else if (word.why !== undefined || at === count - 1) end(word.why)
    })
    patience(START_MS)
    child.send(order)
  })
}

function start(): ChildProcess {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([key]) => !/^(OTEL_|VITEST|NODE_OPTIONS)/.test(key)),
  )
  return fork(fileURLToPath(new URL('child.ts', import.meta.url)), [], {
    env,
    execArgv: ['--import', import.meta.resolve('tsx')],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
}

function lastError(said: string): string {
  const lines = said.split('\n').filter((line) => line.trim() !== '')
  return (lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? 'no word').slice(0, 200)
}
