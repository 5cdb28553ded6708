// OpenTelemetry's own instrumentation of amqplib, around a consumer as amqplib's documentation writes it.
import { createRequire } from 'node:module'
import { trace } from '@opentelemetry/api'
import { AmqplibInstrumentation } from '@opentelemetry/instrumentation-amqplib'
import type { Contender } from './contender.ts'
import { plain } from './plain.ts'

const require = createRequire(import.meta.url)

export const instrumentationAmqplib: Contender = {
  name: 'instrumentation-amqplib',
  packages: ['@opentelemetry/instrumentation-amqplib', 'amqplib'],
  places: ['RabbitMQ'],
  instrument(_, { after }) {
    const instrumentation = new AmqplibInstrumentation()
    instrumentation.setTracerProvider(trace.getTracerProvider())
    instrumentation.enable()
    after(() => instrumentation.disable())
    // It patches what is loaded after it was enabled: a copy of its own, so that plain clients stay plain.
    for (const file of Object.keys(require.cache)) if (/[\\/]amqplib[\\/]/.test(file)) delete require.cache[file]
    const { connect } = require('amqplib') as typeof import('amqplib')
    return { ...plain, connect: (url) => connect(url, { noDelay: true }) }
  },
}
