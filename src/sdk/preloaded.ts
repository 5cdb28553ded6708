// What `node --import taskspan/register` does before the application is loaded, and leaves to the first start().
import { isMainThread, parentPort } from 'node:worker_threads'
import { endsWithin } from '../kernel/within.ts'
import { type Begun, begin } from './begin.ts'
import { env, isTrue } from './environment.ts'
import { identify } from './identify.ts'
import { instrument, preloading } from './instrument/index.ts'
import { interceptImports } from './instrument/modules.ts'
import { roleOf } from './instrument/switches.ts'
import { Problems } from './problems.ts'

/** An application may load for a while before it calls start(). */
const PATIENCE_MS = 5_000
const FLUSH_MS = 5_000
/** The application may do its last work when there is nothing left to do, too: so often is looked for its spans. */
const MOST_FLUSHES = 10

let taken = (): Begun | undefined => undefined

/** What taskspan/register has begun, for the first who asks. */
export function preloaded(): Begun | undefined {
  const begun = taken()
  taken = () => undefined
  return begun
}

/** Without a name in the environment the SDK is left to the application's start(), which knows it. Never throws. */
export function preload(): void {
  if (isTrue('OTEL_SDK_DISABLED') || isLoader()) return
  const problems = new Problems()
  try {
    const { app, worker } = identify({}).identity
    const isNamed = app !== ''
    preloading()
    instrument(isNamed || worker !== '' ? [roleOf(worker)] : ['api', 'worker'], problems)
    interceptImports(problems)
    if (isNamed) {
      const begun = begin({}, problems)
      const leave = sendAtTheEnd(begun)
      taken = () => {
        leave()
        return begun
      }
    } else expectStart(problems)
  } catch (error) {
    problems.add('register', `taskspan/register failed: ${error instanceof Error ? error.message : error}`, error)
  }
}

// What is preloaded with `--require` Node also loads into the thread in which it runs loaders, which is nobody's.
const isLoader = (): boolean => !isMainThread && parentPort === null

// An application without start() has no close(): what still waits when it has nothing left to do would be lost.
function sendAtTheEnd({ running, problems }: Begun): () => void {
  const leave = (): void => void process.off('beforeExit', send)
  let flushes = 0
  async function send(): Promise<void> {
    if (++flushes === MOST_FLUSHES) leave()
    const to = [...(running?.destinations ?? []), running?.logs]
    if (await endsWithin(FLUSH_MS, Promise.all([running?.provider.forceFlush(), running?.logs?.flush()]))) return
    leave()
    problems.add('close', `the process has ended, and not everything was sent within ${FLUSH_MS} ms; the rest is lost`)
    for (const destination of to) destination?.release()
  }
  if (running !== undefined) process.on('beforeExit', send)
  return leave
}

// Somebody who only uses taskspan/register must hear of it, also where the process ends soon.
function expectStart(problems: Problems): void {
  const say = (): void => {
    stop()
    const worker = env('TASKSPAN_WORKER') === undefined ? ' and TASKSPAN_WORKER (api, render, …)' : ''
    problems.add('register', `taskspan/register sends nothing before start() is called: set TASKSPAN_APP${worker}`)
  }
  const timer = setTimeout(say, PATIENCE_MS).unref()
  const stop = (): void => {
    clearTimeout(timer)
    process.off('beforeExit', say)
  }
  process.on('beforeExit', say)
  taken = () => {
    stop()
    return undefined
  }
}
