// What the compiler says of watch(): BullMQ's own objects on any backend, amqplib's own connection, and the wrong uses.
import { type ChannelModel, connect } from 'amqplib'
import { createPostgresBackend, Queue, Worker, withBackend } from 'bullmq'
import { bullmq } from 'taskspan/bullmq'
import { metrics } from 'taskspan/metrics'
import { telemetry } from 'taskspan/telemetry'
import { type Snapshot, type Watch, watch } from 'taskspan/watch'
import { expectTypeOf } from 'vitest'

const t = telemetry()
const connection = { host: 'localhost' }
const instrument = bullmq(t)
const queue = new Queue<{ clip: number }, string, 'render'>('render', { connection })
const worker = new Worker<{ clip: number }, string, 'render'>(
  'render',
  instrument(async () => 'ok'),
  { connection },
)
const postgres = withBackend(createPostgresBackend)
const onPostgres = new postgres.Queue('render', { connection: 'postgres://localhost' })
const worksOnPostgres = new postgres.Worker('render', null, { connection: 'postgres://localhost' })

const w = watch({ telemetry: t, queues: [queue, onPostgres], workers: [worker, worksOnPostgres] })
expectTypeOf(w).toEqualTypeOf<Watch>()
expectTypeOf(w.snapshot()).toEqualTypeOf<Snapshot>()
expectTypeOf(w.snapshot().queues[0]?.depth?.waiting).toEqualTypeOf<number | undefined>()
expectTypeOf(w.ready()).toEqualTypeOf<string | undefined>()
expectTypeOf(w.close()).toEqualTypeOf<Promise<void>>()

watch({ telemetry: metrics() })
const amqp: ChannelModel = await connect('amqp://localhost')
watch({ telemetry: t, rabbitmq: { connection: 'amqp://localhost', queues: ['orders'] } })
watch({ telemetry: t, rabbitmq: { connection: amqp, queues: ['orders'], managementUrl: 'http://localhost:15672' } })
watch({ telemetry: t, rabbitmq: { connection: () => amqp, queues: ['orders'], vhost: 'shop' } })
watch({ telemetry: t, rabbitmq: { connection: async () => undefined, queues: ['orders'] } })

// @ts-expect-error telemetry is required
watch({ queues: [queue] })
// @ts-expect-error a queue's name is not a queue
watch({ telemetry: t, queues: ['render'] })
// @ts-expect-error a queue does no work
watch({ telemetry: t, workers: [queue] })
// @ts-expect-error a misspelt option
watch({ telemetry: t, interval: 5_000 })
// @ts-expect-error queues are named: a broker is not asked for its list
watch({ telemetry: t, rabbitmq: { connection: 'amqp://localhost' } })
// @ts-expect-error middleware without a registry is not telemetry
watch({ telemetry: async (_task: unknown, next: () => Promise<unknown>) => next() })
