// What only RabbitMQ's management API tells: unsettled messages, the age of the next one, priorities, memory, alarms.
import { unescape as unescaped } from 'node:querystring'
import { BlockedLine, type BrokerState, brokerReadings } from './broker.ts'
import type { Reading } from './gauges.ts'
import type { Tell } from './lookout.ts'
import type { Connector } from './rabbitmq.ts'
import type { Heard } from './rabbitmq-connection.ts'
import { type QueueState, queueReadings, type Source } from './source.ts'

const ANSWER_WITHIN_MS = 5_000

/** A GET to the API. Errors never say the URL: it has the password. */
export class Management {
  private readonly base: string
  private readonly authorization: string

  /** @param url with credentials, or else those of `amqpUrl` are used */
  constructor(url: string, amqpUrl: string | undefined) {
    const given = new URL(url)
    const other = given.username === '' && amqpUrl !== undefined ? new URL(amqpUrl) : given
    // As amqplib reads them: a sign that should have been escaped stands for itself.
    const user = unescaped(other.username || 'guest')
    const password = unescaped(other.password || 'guest')
    this.authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
    this.base = given.origin + given.pathname.replace(/\/(api\/?)?$/, '')
  }

  async get(path: string, columns: string): Promise<unknown> {
    const response = await fetch(`${this.base}/api/${path}?columns=${columns}`, {
      headers: { authorization: this.authorization },
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    })
    if (!response.ok) {
      await response.body?.cancel()
      throw new Error(`RabbitMQ's management API answered ${response.status} to GET /api/${path}.`)
    }
    return response.json()
  }
}

interface QueueAnswer {
  readonly messages_ready?: number
  readonly messages_unacknowledged?: number
  readonly head_message_timestamp?: number
  readonly backing_queue_status?: { readonly priority_lengths?: Readonly<Record<string, number>> }
}

const QUEUE_COLUMNS =
  'messages_ready,messages_unacknowledged,head_message_timestamp,backing_queue_status.priority_lengths'

/** The details of one queue; the API is a few seconds behind. */
export class ManagementQueueSource implements Source<QueueState> {
  readonly system = 'rabbitmq'
  readonly part = 'management'
  private readonly path: string

  constructor(
    readonly queue: string,
    name: string,
    vhost: string,
    private readonly management: Management,
    private readonly priorities: readonly number[],
  ) {
    this.path = `queues/${encodeURIComponent(vhost)}/${encodeURIComponent(name)}`
  }

  async look(): Promise<QueueState> {
    const answer = (await this.management.get(this.path, QUEUE_COLUMNS)) as QueueAnswer
    const { messages_ready: ready, messages_unacknowledged: unacked, head_message_timestamp: head } = answer
    // Whole seconds, and only where the publisher gave a `timestamp`; quorum queues do not tell it.
    const isKnown = typeof head === 'number' && ready !== undefined && ready > 0
    const lengths = Object.entries(answer.backing_queue_status?.priority_lengths ?? {})
    return {
      depth: { ...(unacked !== undefined && { unacked }) },
      priorities: Object.fromEntries(lengths.filter(([priority]) => this.priorities.includes(Number(priority)))),
      oldestAgeMs: isKnown ? Math.max(0, Date.now() - head * 1000) : undefined,
    }
  }

  readings(state: QueueState): Reading[] {
    return queueReadings(this.queue, state)
  }
}

interface NodeAnswer {
  readonly mem_used?: number
  readonly mem_limit?: number
  readonly mem_alarm?: boolean
  readonly disk_free_alarm?: boolean
}

/** The broker as a whole: what the management API tells of it, or else what a connection of the user's was told. */
export class RabbitMqBrokerSource implements Source<BrokerState> {
  readonly system = 'rabbitmq'
  private readonly line: BlockedLine

  constructor(
    readonly broker: string,
    private readonly asked: Management | Connector,
    private readonly heard: Heard,
    tell: Tell,
  ) {
    this.line = new BlockedLine(broker, tell)
  }

  async look(): Promise<BrokerState> {
    const state = await this.state()
    this.line.say(state)
    return state
  }

  // A broker tells `blocked` only to connections that publish: to hear nothing says nothing.
  private async state(): Promise<BrokerState> {
    if (this.asked instanceof Management) return this.ask(this.asked)
    await this.asked.connection()
    return { blocked: this.heard.blocked }
  }

  private async ask(management: Management): Promise<BrokerState> {
    const columns = 'mem_used,mem_limit,mem_alarm,disk_free_alarm'
    const nodes = (await management.get('nodes', columns)) as readonly NodeAnswer[]
    const ratios = nodes.flatMap(({ mem_used: used, mem_limit: limit }) =>
      used !== undefined && limit !== undefined && limit > 0 ? [used / limit] : [],
    )
    // One node in alarm blocks publishers on all of them. In a broker's first seconds the API knows of none.
    const alarms = nodes
      .flatMap((node) => [node.mem_alarm, node.disk_free_alarm])
      .filter((alarm) => alarm !== undefined)
    const alarm = alarms.length === 0 ? undefined : alarms.includes(true)
    return { memoryRatio: ratios.length === 0 ? undefined : Math.max(...ratios), blocked: this.heard.blocked || alarm }
  }

  readings(state: BrokerState): Reading[] {
    return brokerReadings(this.broker, state)
  }
}
