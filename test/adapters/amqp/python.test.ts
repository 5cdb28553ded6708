// Real Python producers, fresh from Debian's Celery and pika: the right name, id, attempt, type, wait and parent.
import { type AmqpConsumer, amqp } from 'taskspan/amqp'
import { beforeAll, describe, expect, it } from 'vitest'
import { openChannel, queueName } from '../../support/amqp.ts'
import { python } from '../../support/python.ts'
import { amqpUrl } from '../../support/rabbitmq.ts'
import { record } from '../../support/record.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const TRACEPARENT = `00-${TRACE}-${SPAN}-01`

const CELERY = `
import sys
from celery import Celery
url, queue, traceparent, protocol = sys.argv[1:]
app = Celery(broker=url)
app.conf.task_protocol = int(protocol)
app.conf.task_default_queue = queue
def send(**more):
    result = app.send_task('tasks.process_file', args=[7], kwargs={'fmt': 'csv'}, queue=queue,
                           headers={'traceparent': traceparent, 'tracestate': 'vendor=a'}, **more)
    print(result.id)
send()
send(retries=2)
send(countdown=30)
`

const PIKA = `
import sys, time, datetime, decimal, pika
url, queue, traceparent = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
headers = {'traceparent': traceparent, 'tracestate': 'vendor=a', 'baggage': 'request_id=r-9,session=secret',
           'n': 5, 'f': decimal.Decimal('1.5'), 'b': True, 'none': None, 'at': datetime.datetime.utcnow(),
           'nested': {'a': [1, 'x', {'deep': b'\\x00\\xff'}]}, 'big': 2 ** 40, 'raw': b'\\x00\\xff'}
properties = dict(headers=headers, type='process_file', message_id='m-1', priority=3, delivery_mode=2,
                  timestamp=int(time.time()) - 2, content_type='application/json', app_id='pika')
channel.basic_publish('', queue, b'{"file_id": 7}', pika.BasicProperties(**properties))
headers.update({'task_type': 'cron', 'schedule_id': 'nightly', 'schedule_time': int(time.time() * 1000)})
channel.basic_publish('', queue, b'{"file_id": 8}', pika.BasicProperties(**properties))
connection.close()
`

/** A consumer of ours on a queue that the producer finds. */
async function consuming(
  t: Parameters<typeof amqp>[0],
): Promise<{ queue: string; url: string; consumer: AmqpConsumer }> {
  const channel = await openChannel()
  const queue = queueName('python')
  await channel.assertQueue(queue, { durable: true })
  const consumer = await amqp(t).consume(channel, queue, ({ content }) => content.toString())
  return { queue, url: await amqpUrl(), consumer }
}

// Fresh, apt takes its time; with the packages there this is nothing.
beforeAll(async () => {
  await python('celery', 'pass')
  await python('pika', 'pass')
}, 300_000)

describe('a message from Celery', () => {
  it('has the name, id, attempt and parent of its headers', async () => {
    const { spans, logs, t, faults } = await record()
    const { queue, url, consumer } = await consuming(t)
    const ids = (await python('celery', CELERY, url, queue, TRACEPARENT, '2')).trim().split('\n')
    const tasks = await spans.waitFor('taskiq.tasks.process_file', 3)
    await consumer.close()
    expect(tasks.map(({ attributes }) => attributes['messaging.message.id'])).toEqual(ids)
    expect(tasks.map(({ attributes }) => attributes['taskiq.attempt'])).toEqual([1, 3, 1])
    for (const task of tasks) {
      expect([task.traceId, task.parentSpanId]).toEqual([TRACE, SPAN])
      expect(task.raw.spanContext().traceState?.get('vendor')).toBe('a')
      expect(task.attributes).toMatchObject({ task_type: 'on_demand', 'messaging.destination.name': queue })
      expect(task.attributes).not.toHaveProperty('taskiq.wait_ms')
    }
    expect(logs.named('task.succeeded')[0]).toMatchObject({ task_name: 'tasks.process_file', task_id: ids[0], queue })
    expect(await faults()).toBe(0)
  })

  it('with protocol 1 is a plain message, named after its queue, under its parent', async () => {
    const { spans, t, faults } = await record()
    const { queue, url, consumer } = await consuming(t)
    const ids = (await python('celery', CELERY, url, queue, TRACEPARENT, '1')).trim().split('\n')
    const tasks = await spans.waitFor(`taskiq.${queue}`, 3)
    await consumer.close()
    expect(tasks.map(({ attributes }) => attributes['messaging.message.id'])).toEqual(ids)
    expect(tasks.map(({ parentSpanId }) => parentSpanId)).toEqual([SPAN, SPAN, SPAN])
    expect(await faults()).toBe(0)
  })
})

describe('a message from pika', () => {
  it('has the name, id, priority, wait, parent and allowed baggage, whatever else is in its headers', async () => {
    const { spans, t, faults } = await record({ correlation: ['request_id'] })
    const { queue, url, consumer } = await consuming(t)
    await python('pika', PIKA, url, queue, TRACEPARENT)
    const [task, run] = await spans.waitFor('taskiq.process_file', 2)
    await consumer.close()
    expect([task?.traceId, task?.parentSpanId]).toEqual([TRACE, SPAN])
    expect(task?.attributes).toMatchObject({
      task_type: 'on_demand',
      'taskiq.attempt': 1,
      'taskiq.priority': 3,
      'messaging.message.id': 'm-1',
      'messaging.destination.name': queue,
      request_id: 'r-9',
    })
    const wait = task?.attributes['taskiq.wait_ms'] as number
    expect(wait).toBeGreaterThanOrEqual(2_000)
    expect(wait).toBeLessThan(20_000)
    expect(JSON.stringify(task?.attributes)).not.toContain('secret')
    expect(run?.attributes).toMatchObject({ task_type: 'cron', 'taskiq.schedule.id': 'nightly' })
    expect(run?.traceId).not.toBe(TRACE)
    expect(run?.links).toMatchObject([{ traceId: TRACE, spanId: SPAN }])
    expect(await faults()).toBe(0)
  })
})
