// Sends: the channel's own publish, once and in the same tick, with a `send` span around it and its context inside.
import { isPromise } from 'node:util/types'
import type { Options } from 'amqplib'
import { fault, guard } from '../../kernel/faults.ts'
import { ATTR } from '../../kernel/names.ts'
import { produce } from '../../kernel/producer.ts'
import { type EndListener, followed } from '../../kernel/promises.ts'
import type { Middleware, TaskFields } from '../../kernel/task.ts'
import { carry } from './carry.ts'
import { queueLabel } from './read.ts'
import { isShape, type TaskiqMessage } from './taskiq.ts'

/** What can publish: amqplib's channels, and amqp-connection-manager's wrapper. `never`: any parameter types will do. */
export interface Publishes {
  publish(exchange: string, routingKey: string, content: never, options?: never, callback?: never): unknown
}

export interface SendsToQueue {
  sendToQueue(queue: string, content: never, options?: never, callback?: never): unknown
}

export interface Sender {
  /**
   * `channel.publish()` with a `send` span. Gives what the channel gives (of a promise its successor) and throws what it
   * throws; on a confirm channel the span ends with the broker's answer.
   *
   * @param content as the channel wants it, or a message shaped by `taskiq()`
   * @param options copied, never written to
   */
  publish<C extends Publishes>(
    channel: C,
    exchange: string,
    routingKey: string,
    content: Parameters<C['publish']>[2] | TaskiqMessage,
    options?: Parameters<C['publish']>[3],
    callback?: Parameters<C['publish']>[4],
  ): ReturnType<C['publish']>
  /** `channel.sendToQueue()` with a `send` span; as `publish()`. */
  sendToQueue<C extends SendsToQueue>(
    channel: C,
    queue: string,
    content: Parameters<C['sendToQueue']>[1] | TaskiqMessage,
    options?: Parameters<C['sendToQueue']>[2],
    callback?: Parameters<C['sendToQueue']>[3],
  ): ReturnType<C['sendToQueue']>
}

type SendOptions = Options.Publish | null | undefined
type Callback = ((...answer: [error?: unknown, ok?: unknown]) => void) | undefined
type Call = (content: unknown, options: SendOptions, callback: Callback) => unknown

export function sender(middleware: Middleware, hearReturns: (channel: object) => void): Sender {
  function send(
    channel: object,
    exchange: string,
    routingKey: string,
    content: unknown,
    options: SendOptions,
    callback: Callback,
    call: Call,
  ): unknown {
    if (options?.mandatory) guard('rabbitmq', 'listen', () => hearReturns(channel))
    const fields = guard('rabbitmq', 'send', () => sendFields(exchange, routingKey, content, options))
    let given: unknown
    produce('rabbitmq', middleware, fields ?? { name: '', queue: '' }, (carrier) => {
      if ('waitForConfirms' in channel) {
        const answer = new Answer()
        given = carried(content, options, carrier, heard(callback, answer), call)
        return answer.promise
      }
      given = carried(content, options, carrier, callback, call)
      if (!isPromise(given)) return given
      // As with any call: a rejection that nobody handles stays one, and what is the caller's to ask is not asked twice.
      const answer = new Answer()
      given = followed(given, 'rabbitmq', answer)
      return answer.promise
    })
    return given
  }

  return {
    publish: (channel, exchange, routingKey, content, options, callback) =>
      send(channel, exchange, routingKey, content, options, callback, (...rest) =>
        channel.publish(exchange, routingKey, ...(rest as [never, never, never])),
      ) as never,
    sendToQueue: (channel, queue, content, options, callback) =>
      send(channel, '', queue, content, options, callback, (...rest) =>
        channel.sendToQueue(queue, ...(rest as [never, never, never])),
      ) as never,
  }
}

function carried(
  content: unknown,
  options: SendOptions,
  carrier: Record<string, string>,
  callback: Callback,
  call: Call,
): unknown {
  if (isShape(content)) {
    const shaped = content.shape(carrier)
    const headers = { ...shaped.options.headers, ...(options?.headers as object), ...carrier }
    return call(shaped.content, { ...shaped.options, ...options, headers }, callback)
  }
  const copy = carry(options, carrier)
  try {
    return call(content, copy, callback)
  } catch (error) {
    // amqplib refuses more than 64 KiB of headers, before it sends anything: ours may not be what is too much.
    if (copy === options || !(error instanceof RangeError)) throw error
    const given = call(content, options, callback)
    fault('rabbitmq', 'headers_too_large', error)
    return given
  }
}

/** The broker's answer as a promise of ours, beside what the caller has of it. */
class Answer implements EndListener {
  private settle: { resolve: () => void; reject: (error: unknown) => void } | undefined
  readonly promise = new Promise<void>((resolve, reject) => {
    this.settle = { resolve, reject }
  })

  constructor() {
    this.promise.catch(() => {}) // a failure belongs to the caller's callback or promise, or to waitForConfirms()
  }

  returned(): void {
    this.settle?.resolve()
  }

  threw(error: unknown): void {
    this.settle?.reject(error)
  }
}

function heard(callback: Callback, answer: Answer): Callback {
  return (...args) => {
    const [error] = args
    if (error === null || error === undefined) answer.returned()
    else answer.threw(error)
    callback?.(...args)
  }
}

// A send does not know the queues behind an exchange, so neither does it know a task that has no name of its own.
function sendFields(exchange: string, routingKey: string, content: unknown, options: SendOptions): TaskFields {
  const destination = exchange === '' ? queueLabel(routingKey) : exchange
  const headers = (options?.headers ?? {}) as {
    readonly task_name?: unknown
    readonly task?: unknown
    task_id?: unknown
  }
  const shape = isShape(content) ? content : undefined
  const name = shape?.task ?? first(headers.task_name, headers.task, options?.type)
  return {
    name: name ?? (exchange === '' ? destination : ''),
    queue: destination,
    id: shape?.id ?? first(headers.task_id, options?.messageId, options?.correlationId),
    attributes: { [ATTR.routingKey]: routingKey },
  }
}

function first(...candidates: unknown[]): string | undefined {
  return candidates.find((value): value is string => typeof value === 'string' && value !== '')
}
