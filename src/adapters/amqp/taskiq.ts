// A message as a Python TaskIQ worker expects it: labels in the headers and again in the body, which alone it reads.
import { randomBytes } from 'node:crypto'
import type { Options } from 'amqplib'
import { checkOptions, show, TaskspanError } from '../../kernel/errors.ts'
import { injectCarrier } from '../../kernel/propagation.ts'
import { scheduled } from './carry.ts'

export type TaskiqLabel = string | number | bigint | boolean | Uint8Array

export interface TaskiqOptions {
  /** Positional arguments: what JSON can hold. */
  readonly args?: readonly unknown[] | undefined
  /** Keyword arguments. */
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined
  /** TaskIQ's labels: `max_retries`, `retry_on_error`, `priority`, and your own. */
  readonly labels?: Readonly<Record<string, TaskiqLabel | undefined>> | undefined
  /** The task's id. Default: a random one. */
  readonly id?: string | undefined
  /** The task is one run of this schedule. */
  readonly schedule?: string | undefined
}

/** A message for a Python TaskIQ worker. `publish()` takes it as its content; a channel takes the two parts. */
export interface TaskiqMessage {
  readonly task: string
  readonly id: string
  /** The body, with the context that is active when it is read. */
  readonly content: Buffer
  /** The publish options, with the context that is active when they are read. */
  readonly options: Options.Publish
}

/**
 * Shapes a message for a Python TaskIQ worker behind an aio-pika broker.
 *
 * @param task the task's name there
 * @throws {TaskspanError} `INVALID_OPTION`, `UNKNOWN_OPTION`; and what `JSON.stringify` throws
 * @example
 * publish(channel, 'taskiq', 'taskiq', taskiq('files:process', { args: [7], labels: { max_retries: 3 } }))
 */
export function taskiq(task: string, options: TaskiqOptions = {}): TaskiqMessage {
  return new Shape(task, options)
}

/** Whether a content is a shaped message that wants to be given its context. */
export function isShape(content: unknown): content is Shape {
  return content instanceof Shape
}

class Shape implements TaskiqMessage {
  readonly id: string
  private readonly labels: Record<string, string> = {}
  private readonly types: Record<string, number> = {}
  private readonly priority: number
  private readonly call: string

  constructor(
    readonly task: string,
    options: TaskiqOptions,
  ) {
    if (typeof task !== 'string' || task === '') {
      throw new TaskspanError('INVALID_OPTION', `taskiq: the task's name must be a text, got ${show(task)}.`)
    }
    checkOptions('taskiq', options, TASKIQ_OPTIONS)
    for (const [key, value] of Object.entries(options.labels ?? {})) {
      if (value === undefined) continue
      const [type, text] = prepared(key, value)
      this.labels[key] = text
      this.types[key] = type
    }
    Object.assign(this.labels, scheduled(options))
    this.id = options.id ?? randomHex()
    const priority = Number(this.labels.priority ?? 0)
    this.priority = Number.isInteger(priority) && priority >= 0 && priority <= 255 ? priority : 0 // AMQP's octet
    this.call = `"args": ${JSON.stringify(options.args ?? [])}, "kwargs": ${JSON.stringify(options.kwargs ?? {})}`
  }

  get content(): Buffer {
    return this.shape(injectCarrier()).content
  }

  get options(): Options.Publish {
    return this.shape(injectCarrier()).options
  }

  /** Both parts, with this context and now as the time of queueing. */
  shape(carrier: Record<string, string>): { readonly content: Buffer; readonly options: Options.Publish } {
    const now = Date.now() / 1000
    const labels = { ...this.labels, ...carrier, _taskiq_queue_time: now }
    const head = { task_id: this.id, task_name: this.task, labels, labels_types: this.types }
    // The arguments were serialised once, when a fault in them was still the caller's to see.
    const content = Buffer.from(`${JSON.stringify(head).slice(0, -1)}, ${this.call}}`)
    const headers = { ...labels, task_id: this.id, task_name: this.task }
    return { content, options: { headers, deliveryMode: 2, priority: this.priority, messageId: randomHex() } }
  }
}

const TASKIQ_OPTIONS = {
  args: 'array',
  kwargs: 'object',
  labels: 'object',
  id: 'string',
  schedule: 'string',
} as const

// TaskIQ's LabelType: by it the worker turns the text back into a value of Python's.
const INT = 2
const STR = 3
const FLOAT = 4
const BOOL = 5
const BYTES = 6

function prepared(key: string, value: TaskiqLabel): [type: number, text: string] {
  if (typeof value === 'string') return [STR, value]
  if (typeof value === 'boolean') return [BOOL, value ? 'True' : 'False']
  if (typeof value === 'bigint') return [INT, String(value)]
  if (typeof value === 'number') return Number.isInteger(value) ? [INT, String(BigInt(value))] : [FLOAT, String(value)]
  if (value instanceof Uint8Array) return [BYTES, Buffer.from(value).toString('base64')]
  throw new TaskspanError('INVALID_OPTION', `taskiq: the label '${key}' must be a text, number, boolean or bytes.`)
}

function randomHex(): string {
  return randomBytes(16).toString('hex')
}
