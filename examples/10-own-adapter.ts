// A broker of your own: one file (own-adapter/adapter.ts) and your tasks have spans, metrics and lines. Needs no server.
// prints: ^POST /orders
// prints: ^└─ send orders
// prints: ^ {3}├─ taskiq\.save_order .*↻ retry
// prints: ^ {3}└─ taskiq\.save_order .*✓
// prints: "task_name":"save_order".*"message":"task.succeeded"
// prints: taskiq_tasks_total\{queue="orders",task_name="save_order",task_type="on_demand",outcome="retry"\} 1
import { trace } from '@opentelemetry/api'
import { register } from 'prom-client'
import { currentTask } from 'taskspan'
import { render } from 'taskspan/metrics'
import { telemetry } from 'taskspan/telemetry'
import { recordSpans } from 'taskspan/testing'
import { mailbox } from './own-adapter/adapter.ts'
import { Mailbox } from './own-adapter/mailbox.ts'

const spans = recordSpans() // in your process: start({ app: 'shop', worker: 'orders' })
const { read, post } = mailbox(telemetry())

const broker = new Mailbox()
read(broker, 'orders', async () => {
  if (currentTask()?.attempt === 1) throw new Error('the database is away')
})
trace.getTracer('api').startActiveSpan('POST /orders', (span) => {
  post(broker, { box: 'orders', subject: 'save_order', text: '{"order":7}', headers: { attempts: 2 } })
  span.end()
})

await spans.waitFor('taskiq.save_order', 2)
console.log(spans.waterfall())
const { body } = await render(register)
for (const line of body.split('\n')) if (line.startsWith('taskiq_tasks_total{')) console.log(line)

// That it does all of it right is shown by the suite that every adapter passes: test/conformance/own-adapter.test.ts
