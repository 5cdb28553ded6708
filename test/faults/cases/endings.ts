// Everything that a handler can throw, give back or do, and whether its run has failed by it.
import { trace } from '@opentelemetry/api'
import { RateLimitError, UnrecoverableError, WaitingChildrenError, WaitingError } from 'bullmq'
import type { Delivery } from '../bench/lane.ts'
import type { Place } from '../fault.ts'

/** Stands in every payload and every result, and must be seen nowhere. */
export const CANARY = 'canary-4f1c9a'

export interface Ending {
  readonly title: string
  readonly end: (delivery: Delivery) => unknown
  /** What the span must say of each run; `open`: it never ends; `unsaid`: it ended before there was anything to say. */
  readonly truth: 'failed' | 'fine' | 'put off' | 'cancelled' | 'open' | 'unsaid'
  readonly place?: Place
}

const circle = (): object => {
  const round: Record<string, unknown> = {}
  round.itself = round
  return round
}

const circular = (): Error => {
  const error = new Error('circular')
  error.cause = { error }
  return error
}

const revoked = (): unknown => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const hostile = <T extends object>(target: T): T =>
  new Proxy(target, {
    get(it, key) {
      if (['message', 'stack', 'name', 'constructor'].includes(String(key))) return Reflect.get(it, key)
      throw new Error(`no ${String(key)}`)
    },
    getPrototypeOf: (it) => hostile(it),
    ownKeys() {
      throw new Error('no keys')
    },
  })

class Getters extends Error {
  override get name(): string {
    throw new Error('no name')
  }
  get code(): string {
    throw new Error('no code')
  }
}

const url = `redis://admin:${CANARY}@db:6379`

const THROWN: [string, () => unknown][] = [
  ['an error', () => new Error('no funds')],
  ['an UnrecoverableError', () => new UnrecoverableError('never')],
  ['a frozen error', () => Object.freeze(new Error('frozen'))],
  ['a sealed error without a stack', () => Object.seal(Object.assign(new Error('bare'), { stack: undefined }))],
  ['an error with a message of 5 MB', () => new Error('x'.repeat(5_000_000))],
  ['an error with a stack of 5 MB', () => Object.assign(new Error('deep'), { stack: 'at x\n'.repeat(1_000_000) })],
  ['an error with a name of 1 MB', () => Object.assign(new Error('named'), { name: 'E'.repeat(1_000_000) })],
  ['an error with circular causes', circular],
  ['an error with 1,000 causes', () => nested(1_000)],
  ['an error whose getters throw', () => new Getters('mine')],
  ['an error with a symbol as message', () => Object.assign(new Error(), { message: Symbol('message') })],
  ['an error with a number as name', () => Object.assign(new Error('named'), { name: 7 })],
  ['an error that holds the payload', () => Object.assign(new Error('held'), { data: { card: CANARY } })],
  ['an error that says a password', () => new Error(`connect to ${url} failed`)],
  ['an object without a prototype', () => Object.assign(Object.create(null), { message: 'bare' })],
  ['a proxy that gives nothing away', () => hostile(new Error('proxied'))],
  ['a proxy whose prototypes never end', () => hostile(Object.assign(new Error('proxied'), { name: 'Endless' }))],
  ['an AggregateError', () => new AggregateError([new Error('a'), new Error('b')], 'both')],
  ['an AggregateError of itself', () => ofItself()],
  ['a DOMException', () => new DOMException('aborted', 'AbortError')],
  ['a string', () => 'no funds'],
  ['an empty string', () => ''],
  ['a number', () => 42],
  ['a symbol', () => Symbol('no')],
  ['a bigint', () => 7n],
  ['a function', () => function failed() {}],
  // BullMQ cannot fail a job with these: it stays active, with an 'error' event, until it stalls.
  ['undefined', () => undefined],
  ['null', () => null],
  ['a revoked proxy', revoked],
  ['an error whose message throws', () => Object.defineProperty(new Error(), 'message', { get: () => revoked() })],
]

function nested(depth: number): Error {
  let error = new Error('innermost')
  for (let n = 0; n < depth; n++) error = new Error(`cause ${n}`, { cause: error })
  return error
}

function ofItself(): AggregateError {
  const error = new AggregateError([], 'itself')
  error.errors.push(error)
  return error
}

const RESULTS: [string, () => unknown][] = [
  ['nothing', () => undefined],
  ['null', () => null],
  ['its payload', () => ({ receipt: CANARY })],
  ['a text', () => CANARY],
  ['5 MB', () => CANARY.repeat(400_000)],
  ['a function', () => () => {}],
  ['NaN', () => Number.NaN],
  // BullMQ cannot store these, and fails the job after its handler has returned.
  ['a bigint', () => 7n],
  ['a circle', circle],
  ['an error', () => new Error('returned, not thrown')],
  ['a frozen object', () => Object.freeze({ a: 1 })],
]

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const fail = (): never => {
  throw new Error('no funds')
}

const DEEDS: Ending[] = [
  { title: 'a synchronous throw', end: fail, truth: 'failed' },
  // Whoever resolves a promise with it asks for its `then`.
  { title: 'returning a proxy that throws at a touch', end: () => hostile({ fine: true }), truth: 'failed' },
  { title: 'a promise of a rejected promise', end: async () => Promise.reject(new Error('inner')), truth: 'failed' },
  // biome-ignore lint/suspicious/noThenProperty: that is the deed
  { title: 'a thenable that throws', end: () => ({ then: fail }), truth: 'failed' },
  {
    title: 'a thenable that answers twice',
    // biome-ignore lint/suspicious/noThenProperty: that is the deed
    end: () => ({ then: (ok: (v: string) => void, no: (e: Error) => void) => [ok('first'), no(new Error('second'))] }),
    truth: 'fine',
  },
  { title: 'a handler that never settles', end: () => new Promise(() => {}), truth: 'open' },
  {
    title: 'a throw after its span was ended by the handler',
    async end() {
      trace.getActiveSpan()?.end()
      await tick()
      fail()
    },
    truth: 'unsaid',
  },
  {
    title: 'a rejection of something that it started and awaited too late',
    async end() {
      const started = Promise.reject(new Error('late'))
      started.catch(() => {})
      await tick()
      await started
    },
    truth: 'failed',
  },
  {
    title: 'a throw from within a callback of its own promise',
    end: () => new Promise((_, reject) => setTimeout(() => reject(new Error('later')), 1)),
    truth: 'failed',
  },
]

async function aborted(signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) throw new Error('there is no signal')
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
  await tick()
}

const OF_BULLMQ: readonly Ending[] = (<Ending[]>[
  {
    title: 'an error of BullMQ for a later time',
    async end({ attempt, defer }) {
      if (attempt === 1) throw await defer?.()
    },
    truth: 'put off',
  },
  ...(
    [
      ['WaitingChildrenError', () => new WaitingChildrenError()],
      ['WaitingError', () => new WaitingError()],
    ] as const
  ).map(([name, make]): Ending => ({ title: `BullMQ's ${name}`, end: () => Promise.reject(make()), truth: 'put off' })),
  {
    title: "BullMQ's RateLimitError, once",
    async end({ attempt }) {
      if (attempt === 1) throw new RateLimitError()
      return 'in the second run'
    },
    truth: 'put off',
  },
  {
    title: 'settling well after its signal was aborted',
    async end({ cancel, signal }) {
      cancel()
      await aborted(signal)
      return 'done all the same'
    },
    truth: 'fine',
  },
  {
    title: 'throwing after its signal was aborted',
    async end({ cancel, signal }) {
      cancel()
      await aborted(signal)
      fail()
    },
    truth: 'cancelled',
  },
]).map((ending) => ({ ...ending, place: 'BullMQ' }))

const ALL: readonly Ending[] = [
  ...THROWN.map(([what, make]): Ending => ({ title: `throwing ${what}`, end: () => raise(make), truth: 'failed' })),
  ...RESULTS.map(([what, make]): Ending => ({ title: `returning ${what}`, end: () => make(), truth: 'fine' })),
  ...DEEDS,
  ...OF_BULLMQ,
]

async function raise(make: () => unknown): Promise<never> {
  await tick()
  throw make()
}

export function endingsOf(place: Place): readonly Ending[] {
  return ALL.filter((ending) => ending.place === undefined || ending.place === place)
}
