// Rows: parts of telemetry that throw, around a task and around a send.
import { SENDER } from '../../conformance/carriers.ts'
import { holds, ranOnce, rendering, same } from '../cases/expect.ts'
import type { Part } from '../cases/part.ts'
import { PARTS, SENDING_PARTS } from '../cases/parts.ts'
import type { Bench, Case, Fault, Place } from '../fault.ts'

const carrier = { traceparent: SENDER.traceparent, baggage: 'request_id=r-7' }

const casesOf = (parts: readonly Part[], place: Place, run: (bench: Bench, part: Part) => Promise<void>): Case[] =>
  parts
    .filter((part) => part.place === undefined || part.place === place)
    .map((part) => ({
      title: part.title,
      ...(part.contenders && { contenders: part.contenders }),
      run: (bench) => run(bench, part),
    }))

export const throwingAroundTasks: Fault = {
  name: 'throwing parts around a task',
  promise: 'each task runs once and ends with its own result or its own error, and the worker goes on',
  places: ['BullMQ', 'RabbitMQ'],
  cases: (_, place) =>
    casesOf(PARTS, place, async (bench, { arrange, options, sabotage, blind, place: only }) => {
      await arrange?.(bench)
      const lane = await bench.open(options)
      await sabotage?.(bench)
      await lane.work(async (delivery) => {
        await new Promise((resolve) => setImmediate(resolve))
        if (delivery.name === 'bad') throw new Error('no funds')
        return rendering(delivery)
      })
      const attempts = only === 'RabbitMQ' ? 0 : 1
      await lane.put({ id: 'good', carrier }, { id: 'bad', name: 'bad', carrier, attempts }, { id: 'after', carrier })
      await ranOnce(bench, lane, ['good', 'after'])
      const { end, reason } = await lane.ended('bad')
      same('the bad task ended', end, 'given up')
      same('runs of the bad task', lane.runs.get('bad'), 1)
      if (place === 'BullMQ') same('its error', reason, 'no funds')
      if (lane.scrape !== undefined && !blind)
        holds('a scrape shows the tasks', /tasks_total\b.* \d/.test(await lane.scrape()))
    }),
}

const PICKY: readonly Case[] = [0, 1].map((nth) => ({
  title: `nothing broken, ${['frozen', 'shared'][nth]} options`,
  async run(bench) {
    const lane = await bench.open()
    const sender = lane.picky[nth]
    await sender?.send()
    same('messages stored', await lane.count(), sender?.ids.length)
  },
}))

export const throwingAroundSends: Fault = {
  name: 'throwing parts around a send',
  promise: 'every way of sending resolves once, and exactly what was sent stands in the queue and is run once',
  places: ['BullMQ', 'RabbitMQ'],
  cases: (_, place) => [
    ...(place === 'RabbitMQ' ? PICKY : []),
    ...casesOf(SENDING_PARTS, place, async (bench, { arrange, options, sabotage }) => {
      await arrange?.(bench)
      const lane = await bench.open(options)
      await sabotage?.(bench)
      let expected = 0
      for (const { title, ids, send } of lane.senders) {
        try {
          await send()
        } catch (error) {
          throw new Error(`${title} rejected: ${String((error as Error)?.message)}; ${await lane.count()} stored`)
        }
        expected += ids.length
        same(`messages stored after ${title}`, await lane.count(), expected)
      }
      await lane.put({ id: 'last' })
      await lane.work(rendering)
      await ranOnce(bench, lane, ['last'])
      for (const { title, ids } of lane.senders) {
        if (title === 'upsertJobScheduler()') continue // its tick has an id of BullMQ's own
        for (const id of ids) same(`${id}, of ${title}, ended`, (await lane.ended(id)).end, 'done')
        for (const id of ids) same(`runs of ${id}`, lane.runs.get(id), 1)
      }
    }),
  ],
}
