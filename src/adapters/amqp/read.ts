// An AMQP delivery as a task: name, id, attempt, wait and schedule, from TaskIQ, Celery and plain producers.
import type { ConsumeMessage, Message } from 'amqplib'
import { ATTR } from '../../kernel/names.ts'
import type { Schedule, TaskFields } from '../../kernel/task.ts'
import { count, isTable, moment, NO_HEADERS, number, type Table, text } from './headers.ts'
import { queuedAt } from './taskiq-body.ts'

export interface ReadOptions {
  /** The queue that is consumed; a delivery does not say it. */
  readonly queue: string
  /** Names every task of this consumer. */
  readonly name?: string | undefined
}

/** Makes what reads the deliveries of one consumer. */
export function reader({ queue, name: given }: ReadOptions): (message: ConsumeMessage) => TaskFields {
  const label = queueLabel(queue)
  return (message) => {
    const { fields, properties } = message
    const headers = isTable(properties.headers) ? properties.headers : NO_HEADERS
    const taskiqName = text(headers, 'task_name')
    const celeryName = taskiqName === undefined ? text(headers, 'task') : undefined
    const attempt = attemptOf(message, headers, queue)
    const isFirst = attempt === 1 && !fields.redelivered
    const now = Date.now()
    const schedule = scheduleOf(headers, isFirst ? now : undefined)
    const sinceMs = waitedMs(message, headers, now)
    return {
      name: given ?? taskiqName ?? celeryName ?? textProperty(properties.type) ?? label,
      queue: label,
      id: idOf(message, headers, celeryName !== undefined),
      type: schedule !== undefined || text(headers, 'task_type') === 'cron' ? 'cron' : 'on_demand',
      attempt,
      priority: typeof properties.priority === 'number' ? properties.priority : undefined,
      waitMs: isFirst && !waitedElsewhere(headers) ? sinceMs : undefined,
      ageMs: sinceMs,
      schedule,
      carrier: headers,
      attributes: { [ATTR.routingKey]: fields.routingKey, [ATTR.deliveryTag]: fields.deliveryTag },
    }
  }
}

/** The name of a queue, for span names and labels: names that a broker made at random say nothing and never end. */
export function queueLabel(queue: string): string {
  return queue === '' || queue.startsWith('amq.gen-') || queue.startsWith('amq.rabbitmq.reply-to') ? ANONYMOUS : queue
}

const ANONYMOUS = '(anonymous)'

function idOf({ properties }: Message, headers: Table, isCelery: boolean): string | undefined {
  return (
    text(headers, 'task_id') ??
    (isCelery ? text(headers, 'id') : undefined) ??
    textProperty(properties.messageId) ??
    textProperty(properties.correlationId)
  )
}

// The producer's own count of retries knows most; the broker's come after it, the most exact first.
function attemptOf({ fields }: ConsumeMessage, headers: Table, queue: string): number {
  const before =
    count(headers, '_retries') ??
    count(headers, 'retries') ??
    count(headers, 'x-delivery-count') ??
    deathsIn(headers, queue) ??
    (fields.redelivered ? 1 : 0)
  return before + 1
}

// Expired or displaced messages died without having run: only what was refused here was an attempt.
const RAN: ReadonlySet<unknown> = new Set(['rejected', 'delivery_limit'])

function deathsIn(headers: Table, queue: string): number | undefined {
  if (!Object.hasOwn(headers, 'x-death')) return undefined
  const deaths: unknown = headers['x-death']
  if (!Array.isArray(deaths)) return undefined
  for (const death of deaths) {
    if (isTable(death) && text(death, 'queue') === queue && RAN.has(death.reason)) return count(death, 'count')
  }
  return undefined
}

// Time in a queue from which the message came by dead-lettering is no wait for a worker of this one, unless the
// producer has said that it was meant (TaskIQ's `delay`).
function waitedElsewhere(headers: Table): boolean {
  return Object.hasOwn(headers, 'x-death') && number(headers, 'delay') === undefined
}

// Since the message was handed over, without what it was told to wait.
function waitedMs(message: ConsumeMessage, headers: Table, now: number): number | undefined {
  const fromBody = Object.hasOwn(headers, QUEUE_TIME)
  const since = fromBody ? queuedAt(message.content) : sentAt(message.properties.timestamp)
  if (since === undefined) return undefined
  const delayMs = fromBody ? (number(headers, 'delay') ?? 0) * 1000 : Math.abs(number(headers, 'x-delay') ?? 0)
  return Math.max(0, Math.round(now - since - delayMs)) // clocks differ, and AMQP's timestamp knows whole seconds only
}

const QUEUE_TIME = '_taskiq_queue_time'
// As seconds this is the year 5138: more is milliseconds, as `timestamp: Date.now()` sends it.
const MAX_SECONDS = 1e11

function sentAt(timestamp: unknown): number | undefined {
  if (typeof timestamp !== 'number' || !(timestamp > 0)) return undefined
  return timestamp > MAX_SECONDS ? timestamp : timestamp * 1000
}

function scheduleOf(headers: Table, startedAt: number | undefined): Schedule | undefined {
  const id = text(headers, 'schedule_id')
  if (id === undefined) return undefined
  const time = moment(headers, 'schedule_time')
  const late = time === undefined || startedAt === undefined ? undefined : Math.max(0, startedAt - time)
  return { id, time, driftMs: late }
}

function textProperty(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
