// What a user writes with the kernel keeps its types, and what is wrong does not compile. Checked by `tsc`; nothing runs.
import {
  type Adapter,
  type Consume,
  compose,
  consumer,
  currentTask,
  type Ending,
  type ErrorCode,
  type Middleware,
  type Outcome,
  produce,
  type RejectedError,
  type RejectReason,
  reject,
  type Task,
  TaskspanError,
} from 'taskspan'
import { telemetry } from 'taskspan/telemetry'
import { expectTypeOf } from 'vitest'

interface Message {
  readonly subject: string
  readonly headers: Record<string, string>
  ack(): void
}

// A middleware is three lines, and its parameters need no annotation.
const timing: Middleware = async (task, next) => {
  expectTypeOf(task).toEqualTypeOf<Task>()
  expectTypeOf(await next()).toBeUnknown()
  return next()
}
expectTypeOf(compose(timing, telemetry())).toEqualTypeOf<Middleware>()
expectTypeOf(compose()).toEqualTypeOf<Middleware>()
// @ts-expect-error: a middleware is a function
compose({})
// @ts-expect-error: a middleware returns a promise
compose(() => 7)
// @ts-expect-error: next() takes nothing
const passing: Middleware = (task, next) => next(task)
const renaming: Middleware = (task, next) => {
  // @ts-expect-error: what was read from the message stays as it was read
  task.name = 'other'
  return next()
}

// An adapter is four fields, of which two are required.
const smallest: Adapter<Message> = { system: 'nats', read: ({ subject }) => ({ name: subject, queue: 'orders' }) }
const whole: Adapter<Message> = {
  system: undefined,
  read(message) {
    expectTypeOf(message).toEqualTypeOf<Message>()
    return { name: message.subject, queue: 'orders', carrier: message.headers, attempt: undefined }
  },
  judge(error, message, task) {
    expectTypeOf(error).toBeUnknown()
    expectTypeOf(message).toEqualTypeOf<Message>()
    expectTypeOf(task).toEqualTypeOf<Task>()
    return 'retry'
  },
  settle(message, ending) {
    expectTypeOf(ending).toEqualTypeOf<Ending>()
    message.ack()
  },
}
// @ts-expect-error: a task has a queue
const noQueue: Adapter<Message> = { system: 'nats', read: () => ({ name: 'n' }) }
// @ts-expect-error: a judge says one of the outcomes
const noOutcome: Adapter<Message> = { ...smallest, judge: () => 'failed' }
// @ts-expect-error: no field of another name
const noField: Adapter<Message> = { ...smallest, acknowledge: () => {} }

// The consumer gives the handler's own result.
const consume = consumer(whole, telemetry())
expectTypeOf(consume).toEqualTypeOf<Consume<Message>>()
declare const message: Message
expectTypeOf(consume(message, () => 7)).toEqualTypeOf<Promise<number>>()
expectTypeOf(consume(message, async () => 'done')).toEqualTypeOf<Promise<string>>()
expectTypeOf(consume(message, async () => {}, new AbortController().signal)).toEqualTypeOf<Promise<void>>()
// @ts-expect-error: the message of the adapter
consume('message', () => 7)
// @ts-expect-error: a handler
consume(message)

// A send gives what the broker's client gives.
const sent = produce('nats', telemetry(), { name: 'order', queue: 'orders' }, (carrier, task) => {
  expectTypeOf(carrier).toEqualTypeOf<Record<string, string>>()
  expectTypeOf(task).toEqualTypeOf<Task>()
  return true
})
expectTypeOf(sent).toEqualTypeOf<boolean>()

expectTypeOf(currentTask()).toEqualTypeOf<Task | undefined>()
expectTypeOf<Task['message']>().toBeUnknown()
expectTypeOf<'task' | 'step' | 'pipeline' | 'send'>().toExtend<Task['kind']>()
expectTypeOf<Task['type']>().toEqualTypeOf<'cron' | 'on_demand'>()
expectTypeOf<'failure'>().toExtend<Outcome>()

expectTypeOf(reject('malformed')).toEqualTypeOf<RejectedError>()
expectTypeOf<RejectReason>().toEqualTypeOf<'malformed' | 'unknown_task' | 'expired' | 'other'>()
// @ts-expect-error: a reason is a word of ours, since it is a label
reject('no amount')
// @ts-expect-error: a rejection has a reason
reject()

const error = new TaskspanError('INVALID_OPTION', 'wrong')
expectTypeOf(error.code).toEqualTypeOf<ErrorCode>()
expectTypeOf(error.help).toBeString()
// @ts-expect-error: the codes are known
new TaskspanError('WRONG', 'wrong')
// @ts-expect-error: no code of another spelling is compared with
if (error.code === 'INVALID_OPTIONS') throw error

export { noField, noOutcome, noQueue, passing, renaming, smallest }
