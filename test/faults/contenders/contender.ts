// What every contender gives: the broker's clients as its users would have them.
import type { ChannelModel, ConfirmChannel, ConsumeMessage, Options } from 'amqplib'
import type { FlowProducer, Processor, Queue, QueueOptions, Worker, WorkerOptions } from 'bullmq'
import type { TelemetryOptions } from 'taskspan/telemetry'
import type { Sender } from '../bench/lane.ts'
import type { Bench, ContenderName, Place } from '../fault.ts'

/** A contender at work. */
export interface Instrumented {
  worker(queue: string, processor: Processor, options: WorkerOptions): Worker
  queue(name: string, options: QueueOptions): Queue
  flows(options: QueueOptions): FlowProducer
  connect(url: string): Promise<ChannelModel>
  /** Acks what its handler has done; else nacks, and requeues what `again` says. */
  consume(
    channel: ConfirmChannel,
    queue: string,
    handler: (message: ConsumeMessage) => unknown,
    again: (message: ConsumeMessage) => boolean,
  ): Promise<void>
  publish(
    channel: ConfirmChannel,
    queue: string,
    content: Buffer,
    options: Options.Publish,
    answered?: (error: unknown) => void,
  ): boolean
  /** What it does for messages that plain clients send, where it has such a thing. */
  readonly byHand?: {
    readonly inject: (options: Options.Publish) => Options.Publish
    readonly senders: (queue: Queue, flows: FlowProducer) => readonly Sender[]
  }
  /** Its metrics as a scrape gives them; undefined where it has no such thing. */
  readonly scrape?: () => Promise<string>
}

export interface Contender {
  readonly name: ContenderName
  /** The packages whose versions the table names. */
  readonly packages: readonly string[]
  readonly places: readonly Place[]
  /** @param options taskspan's; a contender takes from it what it has as well */
  instrument(options: TelemetryOptions, bench: Pick<Bench, 'recorded' | 'after'>): Instrumented
}
