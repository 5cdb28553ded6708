// Sends one span and one log line, closes, and says how long that took, what became of them, and when it ended.

import { trace } from '@opentelemetry/api'
import { log } from 'taskspan/logging'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'

const { flushMs } = JSON.parse(String(process.argv[2]))

const sdk = start({ app: 'shop', worker: 'render' })
telemetry()
trace.getTracer('test').startActiveSpan('one', (span) => {
  log().info('written inside')
  span.end()
})
const before = performance.now()
await sdk.close({ flushMs })
const closed = performance.now()
console.log(JSON.stringify({ message: 'closed', ms: closed - before, status: sdk.status() }))
process.on('exit', () => console.log(JSON.stringify({ message: 'ended', ms: performance.now() - closed })))
