// Tries one contender with one fault, in processes that may hang or end: each case that was begun is judged.
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Setting } from '../bench/bench.ts'
import type { Case, Fault } from '../fault.ts'
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
  /** How many processes share the cases, where a fault allows it. Default 1: what hangs is then waited for one by one. */
  readonly processes?: number
  readonly progress?: (tried: number, of: number) => void
}

// A process must load its packages first; on a busy machine that takes seconds, or a minute.
const START_MS = 120_000

export async function tryOut(options: TrialOptions): Promise<Result> {
  const { fault, untilLost = false, processes = 1, progress, ...setting } = options
  const cases = casesOf(fault, setting)
  const open = cases.map((_, at) => at)
  const lost: { at: number; title: string; why: string }[] = []
  let tried = 0
  const told = (at: number, why: string | undefined): void => {
    tried++
    progress?.(tried, cases.length)
    if (why !== undefined) lost.push({ at, title: cases[at]?.title ?? '', why })
  }
  const goOn = (): boolean => open.length > 0 && !(untilLost && lost.length > 0)
  const share = async (): Promise<void> => {
    while (goOn())
      await inOneProcess({ ...setting, fault: fault.name }, open, (at) => patienceOf(cases, at, setting), told)
  }
  await Promise.all(Array.from({ length: fault.alone ? 1 : processes }, share))
  lost.sort((a, b) => a.at - b.at)
  return { tried, survived: tried - lost.length, lost: lost.map(({ title, why }) => ({ title, why })) }
}

function patienceOf(cases: readonly Case[], at: number, { form }: Setting): number {
  return cases[at]?.patienceMs ?? form.patienceMs
}

/** Takes cases from those that are open and tells how each ended, until none is left or one was not survived. */
function inOneProcess(
  setting: Omit<Order, 'at'>,
  open: number[],
  patienceOf: (at: number) => number,
  told: (at: number, why: string | undefined) => void,
): Promise<void> {
  const child = start()
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_000)
  })
  return new Promise((resolve, reject) => {
    let at = open.shift()
    let timer: NodeJS.Timeout
    let hasBegun = false
    const end = (): void => {
      clearTimeout(timer)
      child.removeAllListeners()
      child.kill('SIGKILL')
      resolve()
    }
    const lost = (why: string): void => {
      // A process that never got to a case says nothing of its contender: that is a fault of the suite, or of the machine.
      if (!hasBegun) reject(new Error(`A process for '${setting.fault}' did not start: ${why} ${said}`))
      else if (at !== undefined) told(at, why)
      end()
    }
    const patience = (ms: number): void => {
      clearTimeout(timer)
      timer = setTimeout(() => lost(`nothing more happened within ${ms} ms`), ms)
    }
    const next = (): void => {
      if (at === undefined) return end()
      patience(START_MS)
      child.send({ ...setting, at } satisfies Order)
    }
    child.on('exit', (code, signal) => lost(`the process ended (${signal ?? code}): ${lastError(said)}`))
    child.on('message', (word: Word) => {
      hasBegun = true
      if (word.kind === 'begun') return patience(patienceOf(word.at))
      if (word.why !== undefined) return lost(word.why)
      told(word.at, undefined)
      at = open.shift()
      next()
    })
    next()
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
