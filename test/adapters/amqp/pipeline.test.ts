// A pipeline in a consumer's handler: what its steps throw is not yet what the handler throws.
import { amqp } from 'taskspan/amqp'
import { PipelineError, pipeline } from 'taskspan/pipeline'
import { expect, it } from 'vitest'
import { latch, makeQueue, openChannel } from '../../support/amqp.ts'
import { record } from '../../support/record.ts'

it('asks the requeue policy of what the handler threw, and of nothing that a step did', async () => {
  const { t, metrics, faults } = await record()
  const channel = await openChannel()
  const queue = await makeQueue(channel)
  const asked: unknown[] = []
  const drained = latch()
  const fetched = pipeline<boolean>('fetch', t)
    .step('works', () => 1)
    .step(
      'breaks',
      ({ input, attempt }) => {
        if (input || attempt === 1) throw new Error(`attempt ${attempt}`)
      },
      { retries: 1, backoff: { initialMs: 1 } },
    )
  let ran = 0
  const consumer = await amqp(t).consume(
    channel,
    queue,
    async (message) => {
      if (++ran === 3) drained.open()
      await fetched.run(message.content.toString() === 'fails')
    },
    {
      prefetch: 1,
      requeue(error, message) {
        asked.push(error)
        return !message.fields.redelivered
      },
    },
  )
  channel.sendToQueue(queue, Buffer.from('fails'))
  channel.sendToQueue(queue, Buffer.from('works'))
  await drained.promise
  await consumer.close()

  expect(asked).toEqual([expect.any(PipelineError), expect.any(PipelineError)])
  expect(await metrics.value('taskiq_tasks_total', { queue, outcome: 'success' })).toBe(1)
  expect(await metrics.value('taskiq_steps_total', { step: 'breaks', outcome: 'retry' })).toBe(3)
  expect(await faults()).toBe(0)
})
