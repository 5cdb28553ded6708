// Row: shapes that nobody thought of. Properties that hold for whatever message, option, carrier and argument.
import { trace } from '@opentelemetry/api'
import type { ConsumeMessage } from 'amqplib'
import type { Job, JobsOptions } from 'bullmq'
import fc from 'fast-check'
import { TaskspanError } from 'taskspan'
import { inject as amqpInject } from 'taskspan/amqp'
import { bullmq, inject, injectBulk, injectFlow } from 'taskspan/bullmq'
import { cron } from 'taskspan/cron'
import { type Telemetry, telemetry } from 'taskspan/telemetry'
import { FakeChannel } from '../cases/channel.ts'
import { holds, same } from '../cases/expect.ts'
import { FACTORIES } from '../cases/factories.ts'
import { channelEvent, playChannel, playWorker, workerEvent } from '../cases/sequences.ts'
import { anything, delivery, type End, endAs, ending, job, sendOptions, tickArguments } from '../cases/shapes.ts'
import { CONTENDERS } from '../contenders/index.ts'
import type { Bench, Case, Fault } from '../fault.ts'

/** Sees to it that a property holds, for so many shapes as the form allows; fast-check says which one broke it. */
async function forAll<T>(bench: Bench, arbitrary: fc.Arbitrary<T>, holding: (shape: T) => Promise<void>) {
  const isShort = bench.form.name === 'short'
  // The short form tries the same shapes each time.
  const parameters = { numRuns: isShort ? 100 : 2_000, ...(isShort && { seed: 7 }) }
  await fc.assert(
    fc.asyncProperty(arbitrary, async (shape) => {
      bench.recorded.spans.reset()
      bench.recorded.logs.reset()
      await holding(shape)
    }),
    parameters,
  )
}

const ours = ({ recorded }: Bench): Telemetry =>
  telemetry({ registry: recorded.metrics.registry, logger: recorded.logs.logger })

/** One span for one task, and nothing in it that is too much. */
function oneSpan({ contender, recorded }: Bench, failed: boolean): void {
  if (contender !== 'taskspan') return
  const tasks = recorded.spans.spans.filter(({ attributes }) => attributes['taskiq.outcome'] !== 'lost')
  same('spans', tasks.length, 1)
  const [span] = tasks
  holds(`its name has ${span?.name.length} characters`, (span?.name.length ?? 0) <= 135)
  const size = JSON.stringify(span?.attributes).length
  holds(`its attributes have ${size} characters`, size <= 65_536)
  if (!failed) same('its status', span?.status, 'unset')
}

/** Runs something as the caller would; what comes of it is compared by identity. */
async function outcomeOf(run: () => unknown): Promise<{ readonly threw: boolean; readonly value: unknown }> {
  try {
    return { threw: false, value: await run() }
  } catch (value) {
    return { threw: true, value }
  }
}

/** The same end as the handler's: the very object that it returned or threw. */
function sameEnd(end: End, { threw, value }: { readonly threw: boolean; readonly value: unknown }): void {
  same('threw', threw, end.threw)
  const got = threw ? value : (value as { value: unknown } | undefined)?.value
  holds('the result or error is another object', Object.is(got, end.value))
}

async function amqpMessages(bench: Bench): Promise<void> {
  const by = CONTENDERS[bench.contender].instrument({}, bench)
  const channel = new FakeChannel()
  let deliveryTag = 0
  let handler: (message: ConsumeMessage) => unknown = () => {}
  await by.consume(
    channel.face,
    'clips',
    (message) => handler(message),
    () => false,
  )
  await forAll(bench, fc.tuple(delivery, ending), async ([shape, end]) => {
    const fields = { ...shape.fields, deliveryTag: ++deliveryTag }
    const message = { ...shape, fields } as unknown as ConsumeMessage
    const seen: unknown[] = []
    handler = (given) => {
      seen.push(given)
      return endAs(end)
    }
    await channel.deliver(message)
    holds('the handler got another message', seen.length === 1 && seen[0] === message)
    const told = channel.told.splice(0)
    same(
      'what the broker was told',
      told.map(({ word }) => word),
      [end.threw ? 'drop' : 'ack'],
    )
    holds('of another message', told[0]?.message === message)
    oneSpan(bench, end.threw)
  })
}

async function amqpSends(bench: Bench): Promise<void> {
  const by = CONTENDERS[bench.contender].instrument({}, bench)
  const channel = new FakeChannel()
  await forAll(bench, sendOptions, async (options) => {
    const before = entries(options)
    const content = Buffer.from('{}')
    same('what the channel gave', by.publish(channel.face, 'clips', content, options as never), false)
    same('calls', channel.published.length, 1)
    const [[exchange, key, body, given] = []] = channel.published.splice(0)
    same('to', [exchange, key], ['', 'clips'])
    holds('another content', body === content)
    unchanged(options, before)
    kept(options as never, given as never, 'headers')
  })
}

/** All that the caller has written is still there. */
function kept(options: Record<string, unknown>, given: Record<string, unknown>, carrier: string): void {
  for (const key of Object.keys(options)) {
    if (key !== carrier) holds(`'${key}' is another`, Object.is(given[key], options[key]))
  }
}

/** What options and their headers hold, before something is done with them. */
function entries(options: object): [PropertyKey, unknown][] {
  const { headers } = options as { headers?: unknown }
  const own = (value: unknown): [PropertyKey, unknown][] =>
    typeof value === 'object' && value !== null
      ? Reflect.ownKeys(value).map((key) => [key, Reflect.get(value, key)])
      : []
  return [...own(options), ...own(headers)]
}

function unchanged(options: object, before: readonly [PropertyKey, unknown][]): void {
  const now = entries(options)
  const isSame = before.every(([key, value], n) => now[n]?.[0] === key && Object.is(now[n]?.[1], value))
  holds("the caller's options were changed", isSame && now.length === before.length)
}

async function bullmqJobs(bench: Bench): Promise<void> {
  const instrument = bullmq(ours(bench))
  await forAll(bench, fc.tuple(job, ending), async ([shape, end]) => {
    const seen: unknown[] = []
    const processor = instrument(async (...args: unknown[]) => {
      seen.push(...args)
      return endAs(end)
    })
    const given = shape as unknown as Job
    sameEnd(end, await outcomeOf(() => (processor as (...args: unknown[]) => unknown)(given, 'token')))
    holds('the processor got something else', seen[0] === given && seen[1] === 'token' && seen.length === 2)
    oneSpan(bench, end.threw)
  })
}

async function bullmqOptions(bench: Bench): Promise<void> {
  await forAll(bench, sendOptions, async (made) =>
    trace.getTracer('shop').startActiveSpan('request', async (span) => {
      const options = made as JobsOptions
      const before = entries(options)
      kept(options as never, inject(options) as never, 'telemetry')
      const [bulk] = injectBulk([{ name: 'clip', data: {}, opts: options }])
      kept(options as never, bulk?.opts as never, 'telemetry')
      const flow = { name: 'export', queueName: 'clips', opts: options as never, children: [] }
      kept(options as never, injectFlow(flow).opts as never, 'telemetry')
      kept(options as never, amqpInject(options as never) as never, 'headers')
      unchanged(options, before)
      span.end()
    }),
  )
}

async function cronTicks(bench: Bench): Promise<void> {
  const tick = cron(ours(bench))
  await forAll(bench, fc.tuple(tickArguments, ending), async ([args, end]) => {
    const seen: unknown[] = []
    const runner = {}
    const run = tick('nightly', function (this: unknown, ...given: unknown[]) {
      holds('another this', this === runner)
      seen.push(given)
      return endAs(end)
    })
    sameEnd(end, await outcomeOf(() => run.apply(runner, args as unknown[])))
    const [given] = seen as unknown[][]
    holds('other arguments', seen.length === 1 && args.every((arg, n) => Object.is(arg, given?.[n])))
    oneSpan(bench, end.threw)
  })
}

const channelSequences = (bench: Bench): Promise<void> =>
  forAll(bench, fc.array(channelEvent, { maxLength: 30 }), (events) => playChannel(bench, events))

const workerSequences = (bench: Bench): Promise<void> =>
  forAll(bench, fc.array(workerEvent, { maxLength: 20 }), (events) => playWorker(bench, events))

const optionsOf = (names: readonly string[]) =>
  fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), anything, { maxKeys: 3 })

/** Options of any shape are taken, or refused at once by an error of ours that says which one. */
const constructed = ({ title, options, make }: (typeof FACTORIES)[number]): Case => ({
  title: `options of ${title}`,
  contenders: ['taskspan'],
  async run(bench) {
    const t = ours(bench)
    await forAll(bench, optionsOf(options), async (given) => {
      const { threw, value } = await outcomeOf(() => make(given as never, t))
      if (!threw) {
        const { close } = (value ?? {}) as { close?: () => unknown }
        if (typeof close === 'function') await Promise.resolve(close.call(value)).catch(() => {})
        return
      }
      // taskiq() says that it also throws what JSON.stringify() throws.
      const isSaid = value instanceof TaskspanError || (title === 'taskiq()' && value instanceof TypeError)
      holds(`it throws ${String((value as Error)?.stack).slice(0, 300)}`, isSaid)
    })
  },
})

// These open something: a port, connections, an SDK.
const OPENING = /serve|watch|start|pipeline|replay|recordSpans/

export const shapes: Fault = {
  name: 'shapes that nobody thought of',
  promise:
    'whatever the message, carrier, option or argument, the handler runs once with exactly that, and its own result or error comes out',
  places: ['no broker'],
  contenders: ['taskspan', 'careless'],
  cases: (form) =>
    [
      { title: 'messages of RabbitMQ', run: amqpMessages },
      { title: 'options of a send to RabbitMQ', run: amqpSends },
      { title: 'jobs of BullMQ', contenders: ['taskspan' as const], run: bullmqJobs },
      { title: 'options that are to carry a trace', contenders: ['taskspan' as const], run: bullmqOptions },
      { title: 'sequences of what happens to a channel', contenders: ['taskspan' as const], run: channelSequences },
      { title: 'sequences of what happens to a worker', contenders: ['taskspan' as const], run: workerSequences },
      { title: 'ticks of cron runners', contenders: ['taskspan' as const], run: cronTicks },
      ...FACTORIES.filter(({ title }) => !OPENING.test(title)).map(constructed),
    ].map((one: Case) => ({ patienceMs: form.name === 'short' ? 20_000 : 600_000, ...one })),
}
