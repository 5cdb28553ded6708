// Row: context. A task belongs to what sent it and to nothing else, however many run beside it.
import { context, propagation, trace } from '@opentelemetry/api'
import type { Delivery } from '../bench/lane.ts'
import { holds, ranOnce, rendering, same, until } from '../cases/expect.ts'
import type { Bench, Case, Fault, Place } from '../fault.ts'

const hex = (length: number, n: number): string => n.toString(16).padStart(length, 'a')
const traceOf = (n: number): string => hex(32, n)
const carrierOf = (n: number) => ({ traceparent: `00-${traceOf(n)}-${hex(16, n)}-01`, baggage: `request_id=r-${n}` })

const here = (): string | undefined => trace.getActiveSpan()?.spanContext().traceId
const named = (): string | undefined => propagation.getBaggage(context.active())?.getEntry('request_id')?.value
const pause = (): Promise<void> =>
  new Promise((resolve) => (Math.random() < 0.5 ? setImmediate(resolve) : setTimeout(resolve, Math.random() * 5)))

/** Runs what sends or starts in a request of its own, with a session that is nobody else's business. */
async function inRequest<T>(fn: () => Promise<T>): Promise<{ readonly value: T; readonly traceId: string }> {
  const baggage = propagation.createBaggage({ request_id: { value: 'r-1' }, session: { value: 'secret' } })
  return trace.getTracer('shop').startActiveSpan('request', (span) =>
    context.with(propagation.setBaggage(context.active(), baggage), async () => {
      try {
        return { value: await fn(), traceId: span.spanContext().traceId }
      } finally {
        span.end()
      }
    }),
  )
}

const OPTIONS = { correlation: ['request_id'] }

async function interleaved(bench: Bench, count: number): Promise<void> {
  const lane = await bench.open(OPTIONS)
  const strays: string[] = []
  await lane.work(
    async (delivery) => {
      const n = Number(delivery.id.slice(2))
      for (let step = 0; step < 4; step++) {
        if (here() !== traceOf(n)) strays.push(`${delivery.id} was in the trace ${here()}`)
        if (named() !== `r-${n}`) strays.push(`${delivery.id} had the request ${named()}`)
        await pause()
      }
      return rendering(delivery)
    },
    { concurrency: 50 },
  )
  const messages = Array.from({ length: count }, (_, n) => ({ id: `t-${n}`, carrier: carrierOf(n) }))
  await lane.put(...messages)
  await ranOnce(
    bench,
    lane,
    messages.map(({ id }) => id),
  )
  same('strays', strays.slice(0, 3), [])
}

async function madeInRequest(bench: Bench): Promise<void> {
  const lane = await bench.open(OPTIONS)
  const seen: unknown[] = []
  const { traceId } = await inRequest(() =>
    lane.work((delivery) => {
      const session = propagation.getBaggage(context.active())?.getEntry('session')?.value
      seen.push({ session, request: named(), inIts: here() === traceId })
      return rendering(delivery)
    }),
  )
  await lane.put({ id: 'first' }, { id: 'second' })
  await ranOnce(bench, lane, ['first', 'second'])
  same('of the request', seen, Array(2).fill({ session: undefined, request: undefined, inIts: false }))
}

async function retried(bench: Bench): Promise<void> {
  const lane = await bench.open(OPTIONS)
  const seen: unknown[] = []
  await lane.work((delivery) => {
    seen.push([here(), named()])
    if (seen.length === 1) throw new Error('again')
    return rendering(delivery)
  })
  await lane.put({ id: 'one', carrier: carrierOf(7), attempts: 2 })
  await lane.ended('one')
  same('traces of both attempts', seen, Array(2).fill([traceOf(7), 'r-7']))
}

async function nested(bench: Bench): Promise<void> {
  const lane = await bench.open(OPTIONS)
  const seen: unknown[] = []
  await lane.work(
    async (delivery) => {
      seen.push([delivery.id, here(), named()])
      if (delivery.id === 'outer') await lane.send({ id: 'inner' })
      return rendering(delivery)
    },
    { concurrency: 2 },
  )
  const { traceId } = await inRequest(() => lane.send({ id: 'outer' }))
  await ranOnce(bench, lane, ['outer', 'inner'])
  same('traces', seen, [
    ['outer', traceId, 'r-1'],
    ['inner', traceId, 'r-1'],
  ])
}

async function timers(bench: Bench): Promise<void> {
  const lane = await bench.open(OPTIONS)
  const late: unknown[] = []
  const left: Promise<void>[] = []
  const next: unknown[] = []
  await lane.work((delivery: Delivery) => {
    const n = delivery.id === 'leaves' ? 1 : 2
    if (n === 2) next.push(here())
    else {
      left.push(
        new Promise((resolve) => {
          setTimeout(() => {
            trace.getActiveSpan()?.setAttribute('late', true).recordException(new Error('late'))
            trace.getTracer('shop').startSpan('left behind').end()
            late.push([here(), named()])
            resolve()
          }, 50)
        }),
      )
    }
    return rendering(delivery)
  })
  await lane.put({ id: 'leaves', carrier: carrierOf(1) }, { id: 'follows', carrier: carrierOf(2) })
  await ranOnce(bench, lane, ['leaves', 'follows'])
  await Promise.all(left)
  same('where the timer ran', late, [[traceOf(1), 'r-1']])
  same('where the next task ran', next, [traceOf(2)])
  const own = () =>
    bench.recorded.spans.spans.find(({ traceId, kind }) => traceId === traceOf(1) && kind === 'consumer')
  await until(() => own() !== undefined, "the task's span has ended")
  holds('the ended span does not change any more', !('late' in (own()?.attributes ?? {})))
}

async function sentBaggage(bench: Bench): Promise<void> {
  const lane = await bench.open(OPTIONS)
  await inRequest(() => lane.send({ id: 'one' }))
  const [stored] = await lane.stored()
  holds('the key that was named travels', stored?.beside.includes('r-1') === true)
  holds(`what was not named stands on the broker: ${stored?.beside.slice(0, 200)}`, !stored?.beside.includes('secret'))
}

async function flows(bench: Bench): Promise<void> {
  const lane = await bench.open(OPTIONS)
  const flow = lane.senders.find(({ title }) => title === 'a flow')
  if (flow === undefined) throw new Error('there are no flows here')
  const seen: unknown[] = []
  await lane.work((delivery) => {
    seen.push([delivery.id, here()])
    return rendering(delivery)
  })
  const { traceId } = await inRequest(() => flow.send())
  await ranOnce(bench, lane, ['child', 'parent'])
  same('traces', seen, [
    ['child', traceId],
    ['parent', traceId],
  ])
}

export const contexts: Fault = {
  name: 'context',
  promise:
    "a task is in its sender's trace with the keys that were named, from its start to its last timer, and in nobody else's",
  places: ['BullMQ', 'RabbitMQ'],
  cases: (form, place: Place): Case[] => [
    {
      title: `${form.name === 'short' ? 100 : 1_000} interleaved tasks`,
      patienceMs: 4 * form.patienceMs,
      run: (bench) => interleaved(bench, form.name === 'short' ? 100 : 1_000),
    },
    { title: 'a worker made inside a request', run: madeInRequest },
    { title: 'retries', run: retried },
    { title: 'a task that sends a task', run: nested },
    { title: 'timers left behind by a handler', run: timers },
    { title: 'baggage: only what was named is sent', run: sentBaggage },
    ...(place === 'BullMQ' ? [{ title: 'flows, also nodes without options', run: flows }] : []),
  ],
}
