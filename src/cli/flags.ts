// The flags of `taskspan watch` and the environment variables that stand for them.
import { parseArgs } from 'node:util'
import { UsageError } from './usage.ts'

export interface Flags {
  readonly redis: string | undefined
  readonly postgres: string | undefined
  readonly queues: readonly string[]
  readonly prefix: string | undefined
  readonly amqp: string | undefined
  readonly amqpQueues: readonly string[]
  readonly management: string | undefined
  readonly priorities: readonly number[]
  readonly intervalMs: number | undefined
  readonly stuckAfterMs: number | undefined
  readonly host: string | undefined
  readonly port: number | undefined
}

const one = { type: 'string' } as const
const many = { type: 'string', multiple: true } as const
const OPTIONS = {
  ...{ redis: one, postgres: one, queue: many, prefix: one },
  ...{ amqp: one, 'amqp-queue': many, management: one },
  ...{ priority: many, 'interval-ms': one, 'stuck-after-ms': one, host: one, port: one },
} as const

/** @throws {UsageError} also where nothing is given to look at */
export function readFlags(args: readonly string[], env: NodeJS.ProcessEnv): Flags {
  const given = parse(args)
  const queues = given.queue ?? list(env.TASKSPAN_QUEUES)
  const amqpQueues = given['amqp-queue'] ?? list(env.TASKSPAN_AMQP_QUEUES)
  const postgres = given.postgres ?? text(given.redis === undefined ? env.POSTGRES_URL : undefined)
  const redis = given.redis ?? text(postgres === undefined ? env.REDIS_URL : undefined)
  const amqp = given.amqp ?? text(env.AMQP_URL)

  if (queues.length === 0 && amqpQueues.length === 0) {
    throw new UsageError('Name what to look at: --queue for BullMQ, --amqp-queue for RabbitMQ.')
  }
  if (queues.length > 0) {
    if (redis !== undefined && postgres !== undefined) throw new UsageError('Give --redis or --postgres, not both.')
    if (redis === undefined && postgres === undefined) throw new UsageError('--queue needs --redis or --postgres.')
    // Never with the value: it may hold a password.
    if (redis !== undefined && !/^rediss?:\/\/./.test(redis)) throw new UsageError('--redis must begin with redis://.')
    if (postgres !== undefined && !/^postgres(ql)?:\/\/./.test(postgres)) {
      throw new UsageError('--postgres must begin with postgres://.')
    }
  }
  if (amqpQueues.length > 0 && amqp === undefined) throw new UsageError('--amqp-queue needs --amqp.')
  return {
    ...{ redis, postgres, queues, prefix: given.prefix, amqpQueues },
    amqp: amqpQueues.length > 0 ? amqp : undefined,
    management: given.management ?? text(env.AMQP_MANAGEMENT_URL),
    priorities: (given.priority ?? []).map((value) => number('priority', value)),
    intervalMs: optional('interval-ms', given['interval-ms']),
    stuckAfterMs: optional('stuck-after-ms', given['stuck-after-ms']),
    ...{ host: given.host, port: optional('port', given.port) },
  }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true, allowPositionals: false }).values
  } catch (error) {
    // Node's words for an unknown flag; a value that stands alone may be a URL, so it is not repeated.
    const { code, message } = error as { code?: string; message: string }
    if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') throw new UsageError('A value stands without its flag.')
    throw new UsageError(message.split('. ')[0] ?? message)
  }
}

function optional(flag: string, value: string | undefined): number | undefined {
  return value === undefined ? undefined : number(flag, value)
}

function number(flag: string, value: string): number {
  if (!/^\d+$/.test(value)) throw new UsageError(`--${flag} must be a whole number.`)
  return Number(value)
}

function list(value: string | undefined): string[] {
  return (value ?? '').split(',').flatMap((item) => (item.trim() === '' ? [] : [item.trim()]))
}

function text(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value
}
