// `npx taskspan watch`: the same from outside of the workers, as a process of its own.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { readFlags } from '../../src/cli/flags.ts'
import { sayErrors } from '../../src/cli/watch.ts'
import { makeQueue, openChannel } from '../support/amqp.ts'
import { openQueue, queueName } from '../support/bullmq.ts'
import { amqpUrl, rabbitMqManagementUrl } from '../support/rabbitmq.ts'
import { record } from '../support/record.ts'
import { bullmqPrefix, redisUrl } from '../support/redis.ts'

type Line = Readonly<Record<string, unknown>>

let amqp: string
beforeAll(async () => {
  amqp = await amqpUrl()
}, 90_000)

function taskspan(args: string[], env: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
  const { PATH, HOME } = process.env
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], {
    env: { PATH, HOME, ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** Its log lines, and the first with a message. */
function reads(child: ChildProcessWithoutNullStreams) {
  const lines: Line[] = []
  const input = createInterface({ input: child.stdout })
  input.on('line', (text) => lines.push(JSON.parse(text) as Line))
  const named = async (message: string): Promise<Line> => {
    const find = () => lines.find((line) => line.message === message)
    await expect.poll(find, { timeout: 15_000 }).toBeDefined()
    return find() as Line
  }
  return { lines, named }
}

async function run(...args: string[]): Promise<{ code: number; error: string; output: string }> {
  const child = taskspan(args)
  let [error, output] = ['', '']
  child.stderr.on('data', (chunk) => (error += chunk))
  child.stdout.on('data', (chunk) => (output += chunk))
  const [code] = await once(child, 'close')
  return { code, error, output }
}

test('sees a dead fleet: depth and age without a worker, a stuck queue, in /metrics and in a line; ends on SIGTERM', async () => {
  const queue = openQueue(queueName())
  await queue.add('waits', {}, { timestamp: Date.now() - 60_000 })
  const channel = await openChannel()
  const orders = await makeQueue(channel)
  channel.sendToQueue(orders, Buffer.from('{}'))
  const flags = ['--queue', queue.name, '--prefix', bullmqPrefix(), '--redis', redisUrl(), '--amqp-queue', orders]
  const child = taskspan(
    ['watch', ...flags, '--interval-ms', '200', '--stuck-after-ms', '500', '--priority', '3', '--port', '0'],
    { AMQP_URL: amqp, AMQP_MANAGEMENT_URL: await rabbitMqManagementUrl() },
  )
  const { lines, named } = reads(child)
  const { address } = await named('server.listening')
  expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  const scrape = async () => (await fetch(`${address}/metrics`)).text()

  await expect.poll(scrape, { timeout: 10_000 }).toContain(`taskiq_worker_stuck{queue="${queue.name}"} 1`)
  await expect.poll(scrape, { timeout: 10_000 }).toContain(`taskiq_worker_stuck{queue="${orders}"} 1`)
  const text = await scrape()
  expect(text).toContain(`taskiq_queue_depth{queue="${queue.name}",state="waiting"} 1`)
  expect(text).toContain(`taskiq_queue_depth{queue="${orders}",state="waiting"} 1`)
  expect(text).toContain(`taskiq_queue_consumers{queue="${queue.name}"} 0`)
  expect(text).toContain(`taskiq_queue_priority_depth{queue="${queue.name}",priority="3"} 0`)
  expect(text).toMatch(new RegExp(`taskiq_queue_oldest_age_seconds{queue="${queue.name}"} 6\\d`))
  expect(await named('worker.stuck')).toMatchObject({ level: 'error', service: 'taskspan-watch', consumers: 0 })
  expect((await fetch(`${address}/ready`)).status).toBe(200)
  expect(JSON.stringify(lines)).not.toContain('guest:')

  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
}, 40_000)

test('writes no key for a queue that is misspelt', async () => {
  const name = queueName('misspelt')
  const flags = ['--queue', name, '--redis', redisUrl(), '--prefix', bullmqPrefix(), '--port', '0']
  const { named } = reads(taskspan(['watch', ...flags]))
  const { address } = await named('server.listening')
  const scrape = async () => (await fetch(`${address}/metrics`)).text()
  await expect.poll(scrape, { timeout: 10_000 }).toContain(`taskiq_queue_depth{queue="${name}",state="waiting"} 0`)

  const client = await openQueue(queueName()).getBackend().client
  expect(await client.hgetall(`${bullmqPrefix()}:${name}:meta`)).toEqual({})
})

test('says once why it cannot look, also where it never could', async () => {
  const flags = ['--queue', 'render', '--redis', 'redis://:hunter2@127.0.0.1:9', '--port', '0']
  const { lines, named } = reads(taskspan(['watch', ...flags]))
  expect(await named('broker.error')).toMatchObject({
    queue: 'render',
    error: { message: expect.stringContaining('ECONNREFUSED') },
  })
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  expect(lines.filter(({ message }) => message === 'broker.error')).toHaveLength(1)
  expect(JSON.stringify(lines)).not.toContain('hunter2')
})

test('says it again at the next outage', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const { t, logs } = await record()
  const queue = Object.assign(new EventEmitter(), { name: 'render' })
  sayErrors(queue, t)
  const fail = (...afterMs: number[]): void => {
    for (const ms of afterMs) {
      vi.advanceTimersByTime(ms)
      queue.emit('error', new Error('refused'))
    }
  }
  fail(0, 5_000, 20_000, 20_000)
  expect(logs.lines.map(({ message }) => message)).toEqual(['broker.error'])
  fail(3_600_000, 5_000)
  expect(logs.lines.map(({ message }) => message)).toEqual(['broker.error', 'broker.error'])
})

test.each([
  [[], /Name what to look at/],
  [['--queue', 'render'], /--queue needs --redis or --postgres/],
  [['--queue', 'render', '--redis', 'redis://a', '--postgres', 'postgres://b'], /not both/],
  [['--queue', 'render', '--redis', 'user:hunter2@host'], /--redis must begin with redis/],
  [['--queue', 'render', '--postgres', 'user:hunter2@host'], /--postgres must begin with postgres/],
  [['--amqp-queue', 'orders'], /--amqp-queue needs --amqp/],
  [['--queue', 'render', '--redis', 'redis://localhost', '--port', 'http'], /--port must be a whole number/],
  [['--queues', 'render'], /Unknown option '--queues'/],
  [['redis://user:hunter2@host'], /without its flag/],
])('refuses %j in a sentence, without a password', (args, message) => {
  const refused = (): unknown => readFlags(args, {})
  expect(refused).toThrow(message)
  expect(refused).not.toThrow('hunter2')
})

test('takes everything from the environment, where flags say nothing else', () => {
  const env = { REDIS_URL: 'redis://env', TASKSPAN_QUEUES: 'render, emails', AMQP_URL: 'amqp://env' }
  expect(readFlags([], env)).toMatchObject({ redis: 'redis://env', queues: ['render', 'emails'], amqp: undefined })
  expect(readFlags(['--postgres', 'postgres://flag'], env)).toMatchObject({ redis: undefined })
  expect(readFlags([], { ...env, TASKSPAN_AMQP_QUEUES: 'orders' })).toMatchObject({ amqpQueues: ['orders'] })
})

test('a wrong command line ends with 2 and says how it is meant; a wrong URL of RabbitMQ with 1; neither shows a stack', async () => {
  const wrong = await run('wach')
  expect(wrong).toMatchObject({
    code: 2,
    error: expect.stringMatching(/There is no command 'wach'[\s\S]*--amqp-queue/),
  })

  const url = await run('watch', '--amqp-queue', 'orders', '--amqp', 'user:hunter2@host')
  expect(url).toMatchObject({ code: 1, error: expect.stringContaining("'connection' must be an amqp URL") })
  for (const { error } of [wrong, url]) expect(error).not.toMatch(/hunter2|^ {4}at /m)
})

test('tells its version and how it is used', async () => {
  expect((await run('--version')).output).toMatch(/^\d+\.\d+\.\d+/)
  expect((await run('--help')).output).toContain('--amqp-queue')
  expect(await run('watch', '--help')).toMatchObject({ code: 0, output: expect.stringContaining('--amqp-queue') })
})
