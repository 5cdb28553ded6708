// From the options to what is looked at: one source per queue and per broker, however many objects stand for it.
import { unescape as unescaped } from 'node:querystring'
import type { BrokerState } from './broker.ts'
import { type BullmqQueue, BullmqSource } from './bullmq-queue.ts'
import { type BullmqWorker, Workers } from './bullmq-workers.ts'
import type { Gauges } from './gauges.ts'
import type { Tell } from './lookout.ts'
import type { RabbitMqOptions, WatchOptions } from './options.ts'
import { Declarer, RabbitMqSource } from './rabbitmq.ts'
import { connector, type Heard } from './rabbitmq-connection.ts'
import { Management, ManagementQueueSource, RabbitMqBrokerSource } from './rabbitmq-management.ts'
import { RedisSource, redisAddress } from './redis.ts'
import { Schedules } from './schedules.ts'
import type { QueueState, Source } from './source.ts'

export interface Sources {
  readonly queues: readonly Source<QueueState>[]
  readonly brokers: readonly Source<BrokerState>[]
  readonly workers: readonly Workers[]
  close(): Promise<void>
}

export interface Around {
  readonly gauges: Gauges | undefined
  readonly tell: Tell
  readonly stuckAfterMs: number
}

export function sources(options: WatchOptions, around: Around): Sources {
  const bullmq = bullmqSources(options, around)
  const rabbitmq = options.rabbitmq && rabbitmqSources(options.rabbitmq, options.priorities ?? [], around)
  return {
    queues: [...bullmq.queues, ...(rabbitmq?.queues ?? [])],
    brokers: [...bullmq.brokers, ...(rabbitmq?.brokers ?? [])],
    workers: bullmq.workers,
    async close() {
      for (const each of bullmq.workers) each.close()
      await rabbitmq?.close()
    },
  }
}

function bullmqSources({ queues = [], workers = [], priorities = [], telemetry }: WatchOptions, around: Around) {
  // Queues first: their connections give up on a broker that is down, where workers wait for it.
  const all: readonly BullmqQueue[] = [...queues, ...workers]
  const groups = grouped(all, (member) => member.getBackend().qualifiedName)
  const working = new Set<unknown>(workers)
  const made = [...groups.values()].map((members) => {
    const here = members.filter((member): member is BullmqWorker => working.has(member))
    const queue = members[0]?.name ?? ''
    const { stuckAfterMs, tell, gauges } = around
    const watched = new Workers(here, { queue, stuckAfterMs, tell, running: telemetry.running })
    return { watched, source: new BullmqSource(members, watched, new Schedules(gauges, tell), priorities) }
  })
  const redis = [...grouped(all, redisAddress)].flatMap(([address, members]) =>
    address === undefined ? [] : [new RedisSource(address, members, around.tell)],
  )
  return { queues: made.map(({ source }) => source), brokers: redis, workers: made.map(({ watched }) => watched) }
}

function rabbitmqSources(options: RabbitMqOptions, priorities: readonly number[], around: Around) {
  const { connection, queues, managementUrl } = options
  const url = typeof connection === 'string' ? connection : undefined
  const management = managementUrl === undefined ? undefined : new Management(managementUrl, url)
  const vhost = options.vhost ?? vhostOf(url)
  const address = brokerOf(url ?? managementUrl)
  const heard: Heard = { blocked: undefined }
  const connected = connector(connection, heard)
  const declarer = new Declarer(connected)
  const broker = new RabbitMqBrokerSource(address, management ?? connected, heard, around.tell)
  const looked = queues.flatMap((name): Source<QueueState>[] => {
    const queue = name.startsWith('amq.gen-') ? '(anonymous)' : name
    const declared = new RabbitMqSource(queue, name, declarer, around.stuckAfterMs, around.tell)
    if (management === undefined) return [declared]
    return [declared, new ManagementQueueSource(queue, name, vhost, management, priorities)]
  })
  return { queues: looked, brokers: [broker], close: () => declarer.close() }
}

function brokerOf(url: string | undefined): string {
  if (url === undefined) return 'rabbitmq'
  const { protocol, host } = new URL(url)
  return protocol.startsWith('http') ? `rabbitmq ${host}` : `${protocol}//${host}`
}

function vhostOf(url: string | undefined): string {
  const path = url === undefined ? '' : new URL(url).pathname.slice(1)
  return path === '' ? '/' : unescaped(path)
}

function grouped<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>()
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item])
  return groups
}
