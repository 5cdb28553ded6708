// Beside @opentelemetry/instrumentation-amqplib: siblings under the producer, nothing doubled, the caller's options untouched.
import { createRequire } from 'node:module'
import { trace } from '@opentelemetry/api'
import { AmqplibInstrumentation } from '@opentelemetry/instrumentation-amqplib'
import { amqp } from 'taskspan/amqp'
import { expect, it, onTestFinished } from 'vitest'
import { queueName } from '../../support/amqp.ts'
import { amqpUrl } from '../../support/rabbitmq.ts'
import { record } from '../../support/record.ts'

it('makes our span and theirs siblings under the producer, and counts nothing twice', async () => {
  const { spans, metrics, t, faults } = await record()
  const theirs = new AmqplibInstrumentation()
  theirs.setTracerProvider(trace.getTracerProvider())
  theirs.enable()
  onTestFinished(() => theirs.disable())
  // It patches what is loaded after it was enabled; the tests' own support has loaded a copy before.
  const require = createRequire(import.meta.url)
  for (const file of Object.keys(require.cache)) if (/[\\/]amqplib[\\/]/.test(file)) delete require.cache[file]
  const { connect } = require('amqplib') as typeof import('amqplib')
  const connection = await connect(await amqpUrl())
  onTestFinished(() => connection.close())
  const channel = await connection.createConfirmChannel()
  const { queue } = await channel.assertQueue(queueName(), { durable: false })

  const { consume, publish } = amqp(t)
  const consumer = await consume(channel, queue, () => trace.getTracer('test').startSpan('inner').end())
  const options = Object.freeze({ headers: Object.freeze({ a: 1 }) })
  trace.getTracer('test').startActiveSpan('request', (span) => {
    publish(channel, '', queue, Buffer.from('1'), options)
    span.end()
  })
  await spans.waitFor(`taskiq.${queue}`)
  await channel.waitForConfirms()
  await consumer.close()
  await spans.waitFor(`send ${queue}`)
  await spans.waitFor(`${queue} process`)

  expect(spans.outline().split('\n').sort()).toEqual(
    [
      'request',
      `  send ${queue}`,
      '    publish <default>',
      `      ${queue} process`,
      `      taskiq.${queue}`,
      '        inner',
    ].sort(),
  )
  expect(await metrics.value('taskiq_tasks_total')).toBe(1)
  expect(await metrics.value('taskiq_messages_sent_total')).toBe(1)
  expect(await faults()).toBe(0)
})
