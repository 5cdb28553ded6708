// A process with one worker under a contender, as it would be deployed. It is told what to do over IPC, and is there to be ended.
import type { ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib'
import type { Job, Worker, WorkerOptions } from 'bullmq'
import { type Logger, pino } from 'pino'
import { start } from 'taskspan/sdk'
import type { TelemetryOptions } from 'taskspan/telemetry'
import { recordLogs, recordMetrics, recordSpans } from 'taskspan/testing'
import type { Instrumented } from '../contenders/contender.ts'
import { CONTENDERS } from '../contenders/index.ts'
import type { BrokerUrls, ContenderName, Place } from '../fault.ts'

export interface WorkerOrder {
  readonly contender: ContenderName
  readonly place: Place
  readonly brokers: BrokerUrls
  readonly queue: string
  /** BullMQ's, for a worker that loses locks or looks for those of others. */
  readonly worker?: Pick<WorkerOptions, 'lockDuration' | 'stalledInterval' | 'skipLockRenewal' | 'skipStalledCheck'>
  /** Where its lines go. Default: nowhere. */
  readonly log?: Log
}

export type Log = 'stdout' | 'a full disk'

/** What it is told. */
export type Command = 'release' | 'report' | 'close the channel' | 'close the connection'

export interface Report {
  readonly spans: readonly { readonly status: string; readonly attributes: Readonly<Record<string, unknown>> }[]
  readonly metrics: string
}

export type Said =
  | { readonly kind: 'ready' | 'back' }
  | { readonly kind: 'took' | 'ended'; readonly id: string }
  | { readonly kind: 'report'; readonly report: Report }

interface Closable {
  close(): Promise<unknown>
}

const order = JSON.parse(String(process.argv[2])) as WorkerOrder
const say = (said: Said): void => void (process.connected && process.send?.(said))
const recorded = { spans: recordSpans(), metrics: recordMetrics(), logs: recordLogs() }
const held: (() => void)[] = []
const commands = new Map<Command, () => unknown>()

process.on('disconnect', () => process.exit(1))
process.on('message', (command: Command) => commands.get(command)?.())
commands.set('release', () => held.splice(0).forEach((release) => void release()))

async function handle(id: string, name: string): Promise<string> {
  say({ kind: 'took', id })
  if (name === 'brief') await new Promise((resolve) => setTimeout(resolve, 30))
  if (name === 'hold') await new Promise<void>((release) => held.push(release))
  if (name.startsWith('block-')) {
    for (const until = performance.now() + Number(name.slice(6)); performance.now() < until; );
  }
  say({ kind: 'ended', id })
  return `rendered ${id}`
}

const LOGGERS: Readonly<Record<Log, () => Logger | undefined>> = {
  // What telemetry() takes where it is given none; the careless take pino's own.
  stdout: () => undefined,
  'a full disk': () => pino(pino.destination({ dest: '/dev/full', sync: true })),
}

function instrumented(): Instrumented {
  const { contender, log } = order
  const after = (): void => {}
  if (log === undefined) return CONTENDERS[contender].instrument({}, { recorded, after })
  const options: TelemetryOptions = { logger: LOGGERS[log]() ?? (contender === 'careless' ? pino() : undefined) }
  return CONTENDERS[contender].instrument(options, { recorded, after })
}

function bullmqWorker(by: Instrumented): Worker {
  const { brokers, queue } = order
  const worker = by.worker(queue, (job: Job) => handle(String(job.id), job.name), {
    ...{ connection: { url: brokers.redis }, prefix: brokers.prefix, concurrency: 2, drainDelay: 0.1 },
    ...order.worker,
  })
  worker.on('error', () => {})
  return worker
}

/** Consumes until it is closed: when its channel goes, it gets another one, as services do. */
class Consuming implements Closable {
  private connection: ChannelModel | undefined
  private channel: ConfirmChannel | undefined
  private consumerTag = ''
  private running = 0
  private isClosing = false
  private drained = (): void => {}

  constructor(private readonly by: Instrumented) {
    commands.set('close the channel', () => this.channel?.close())
    commands.set('close the connection', () => this.connection?.close())
  }

  async open(): Promise<void> {
    const connection = await this.by.connect(order.brokers.amqp)
    connection.on('error', () => {})
    const channel = await connection.createConfirmChannel()
    channel.on('error', () => {})
    channel.once('close', () => void this.again(connection))
    await channel.prefetch(2)
    const { consume } = channel
    channel.consume = async (...args: Parameters<typeof consume>) => {
      const ok = await consume.apply(channel, args)
      this.consumerTag = ok.consumerTag
      return ok
    }
    this.connection = connection
    this.channel = channel
    const onMessage = async ({ properties }: ConsumeMessage): Promise<unknown> => {
      this.running++
      try {
        return await handle(String(properties.messageId), String(properties.type))
      } finally {
        this.running--
        // Acks come after this turn.
        if (this.running === 0) setImmediate(() => this.drained())
      }
    }
    await this.by.consume(channel, order.queue, onMessage, () => false)
  }

  private async again(connection: ChannelModel): Promise<void> {
    if (this.isClosing) return
    // Not awaited: one that was lost answers no more.
    void connection.close().catch(() => {})
    for (;;) {
      try {
        await this.open()
        return say({ kind: 'back' })
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }

  async close(): Promise<void> {
    this.isClosing = true
    await this.channel?.cancel(this.consumerTag)
    if (this.running > 0) {
      await new Promise<void>((resolve) => {
        this.drained = resolve
      })
    }
    await this.channel?.close()
    await this.connection?.close()
  }
}

/** As each contender's users end their processes. */
function endOnSignal(closable: Closable): void {
  if (order.contender === 'taskspan') return void start().closeOnSignal({ workers: [closable] })
  process.once('SIGTERM', () => {
    if (order.contender === 'careless') process.exit(0)
    void closable.close().then(() => process.exit(0))
  })
}

commands.set('report', async () => {
  // Commands may arrive together: what was released just now ends first.
  await new Promise((resolve) => setImmediate(resolve))
  const spans = recorded.spans.spans.map(({ status, attributes }) => ({ status, attributes }))
  say({ kind: 'report', report: { spans, metrics: await recorded.metrics.registry.metrics() } })
})

const by = instrumented()
if (order.place === 'BullMQ') {
  const worker = bullmqWorker(by)
  endOnSignal(worker)
  await worker.waitUntilReady()
} else {
  const consuming = new Consuming(by)
  await consuming.open()
  endOnSignal(consuming)
}
say({ kind: 'ready' })
