// How many series task names make: the figures of the README.
import { Registry } from 'prom-client'
import { consumer } from 'taskspan'
import { metrics, render } from 'taskspan/metrics'
import { expect, it } from 'vitest'

it.each([
  [10, 700],
  [50, 3_500],
  [500, 35_000],
])('makes for %i names that have succeeded and failed %i series', async (names, series) => {
  const registry = new Registry()
  const read = (name: string) => ({ name, queue: 'render', waitMs: 5 })
  const consume = consumer({ system: 'memory', read }, metrics({ registry }))
  for (let at = 0; at < names; at++) {
    await consume(`task_${at}`, () => 'done')
    await expect(consume(`task_${at}`, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  }

  const { body } = await render(registry)
  expect(body.split('\n').filter((line) => line.includes('task_name="task_')).length).toBe(series)
})
