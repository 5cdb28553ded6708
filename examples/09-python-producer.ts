// Python on the other side: a Celery producer and a Node worker, and a message for a TaskIQ worker. Needs AMQP_URL.
// prints: ^(Celery has sent|No Celery here)
// prints: taskiq\.tasks\.process_file .*✓
// prints: "task_name":"tasks.process_file".*"message":"processing 7 as csv"
// prints: ^a TaskIQ worker reads: \{"task_id":"\w+","task_name":"files:process","labels":\{"max_retries":"3","traceparent":"00-
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { amqp, taskiq } from 'taskspan/amqp'
import { log } from 'taskspan/logging'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'
import { rabbitMq, url } from './rabbitmq.ts'

const { connection, channel, queue } = await rabbitMq()
const sdk = start({ app: 'shop', worker: 'files' })
const { consume, publish } = amqp(telemetry())

// The worker: name, id, attempt and parent come from Celery's headers; its body is [args, kwargs, embed].
const files = await queue('files', { exclusive: false }) // as Celery declares it, too
let handled: () => void = () => {}
const processed = new Promise<void>((resolve) => {
  handled = resolve
})
const consumer = await consume(channel, files, async (message) => {
  const [[file], { fmt }] = JSON.parse(message.content.toString()) as [[number], { fmt: string }, unknown]
  log().info(`processing ${file} as ${fmt}`)
  handled()
})

// The producer: Celery itself where Debian's python3-celery is installed, else the message that it sends.
const CELERY = `
import sys
from celery import Celery
url, queue, traceparent = sys.argv[1:]
Celery(broker=url).send_task('tasks.process_file', args=[7], kwargs={'fmt': 'csv'}, queue=queue,
                             headers={'traceparent': traceparent})
`
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' // of the request in Python
try {
  await promisify(execFile)('/usr/bin/python3', ['-c', CELERY, url, files, traceparent])
  console.log('Celery has sent tasks.process_file')
} catch {
  console.log('No Celery here (apt-get install python3-celery): this is the message that it sends')
  const id = '5b5dbf67-47a8-471a-8a44-0a1e6a77a1d6'
  const headers = { lang: 'py', task: 'tasks.process_file', id, retries: 0, root_id: id, parent_id: null, traceparent }
  channel.sendToQueue(files, Buffer.from('[[7], {"fmt": "csv"}, {"callbacks": null}]'), { headers, correlationId: id })
}
await processed

// The other way: a Python TaskIQ worker reads only the body, so the context stands there, too.
const python = await queue('python')
publish(channel, '', python, taskiq('files:process', { args: [7], labels: { max_retries: 3 } }))
const message = await channel.get(python, { noAck: true })
if (message) console.log(`a TaskIQ worker reads: ${message.content}`)

await consumer.close()
await channel.deleteQueue(files)
await connection.close()
await sdk.close()
