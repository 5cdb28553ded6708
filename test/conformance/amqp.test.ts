// The conformance suite on RabbitMQ: promise channels, callback channels, wrapped handlers, classic and quorum queues.
import { type Channel, connect } from 'amqplib'
import { type Channel as CallbackChannel, type Connection, connect as connectByCallback } from 'amqplib/callback_api'
import { amqp } from 'taskspan/amqp'
import { queueName } from '../support/amqp.ts'
import { amqpUrl } from '../support/rabbitmq.ts'
import { amqpChannel, amqpTraits, type Backend } from './amqp-channel.ts'
import { conformance } from './suite.ts'

conformance({
  ...amqpTraits,
  title: 'RabbitMQ, a promise channel and a classic queue',
  async open(middleware) {
    const { channel, close } = await promiseChannel()
    const { queue } = await channel.assertQueue(queueName('orders'), { durable: false })
    const start: Backend['start'] = (t, handler, requeue) => amqp(t).consume(channel, queue, handler, { requeue })
    return amqpChannel({ queue, channel, start, close, send: sendTo(channel, queue) }, middleware)
  },
})

conformance({
  ...amqpTraits,
  title: 'RabbitMQ, a callback channel and a quorum queue',
  async open(middleware) {
    const { channel, close } = await callbackChannel()
    const queue = queueName('orders')
    await new Promise<void>((resolve, reject) => {
      channel.assertQueue(queue, { arguments: { 'x-queue-type': 'quorum' } }, (error) =>
        error ? reject(error) : resolve(),
      )
    })
    const start: Backend['start'] = (t, handler, requeue) => amqp(t).consume(channel, queue, handler, { requeue })
    return amqpChannel({ queue, channel, start, close, send: sendTo(channel, queue) }, middleware)
  },
})

conformance({
  ...amqpTraits,
  title: 'RabbitMQ, a wrapped handler',
  async open(middleware) {
    const { channel, close } = await promiseChannel()
    const { queue } = await channel.assertQueue(queueName('orders'), { durable: false })
    const start: Backend['start'] = (t, handler, requeue) => {
      const wrapped = amqp(t).wrap(handler, { queue, channel, requeue })
      return channel.consume(queue, (message) => message && void wrapped(message))
    }
    return amqpChannel({ queue, channel, start, close, send: sendTo(channel, queue) }, middleware)
  },
})

const sendTo =
  (channel: Channel | CallbackChannel, queue: string): Backend['send'] =>
  (content, options) =>
    void channel.sendToQueue(queue, content, options)

async function promiseChannel(): Promise<{ channel: Channel; close: () => Promise<void> }> {
  const connection = await connect(await amqpUrl())
  return { channel: await connection.createChannel(), close: () => connection.close() }
}

async function callbackChannel(): Promise<{ channel: CallbackChannel; close: () => Promise<void> }> {
  const url = await amqpUrl()
  const connection = await new Promise<Connection>((resolve, reject) => {
    connectByCallback(url, (error, opened) => (error ? reject(error) : resolve(opened)))
  })
  const channel = await new Promise<CallbackChannel>((resolve, reject) => {
    connection.createChannel((error, opened) => (error ? reject(error) : resolve(opened)))
  })
  return { channel, close: () => new Promise((resolve) => connection.close(() => resolve())) }
}
