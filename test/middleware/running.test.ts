// The list of running tasks: oldest first, whoever leaves, and a set to those who read it.
import { describe, expect, it } from 'vitest'
import { type Place, Running } from '../../src/middleware/metrics/running.ts'

function placed(running: Running<string>, item: string): Place<string> {
  const place = { item, before: undefined, after: undefined }
  running.enter(place)
  return place
}

describe('the running tasks', () => {
  it.each([
    [['a'], ['b', 'c', 'd']],
    [
      ['b', 'c'],
      ['a', 'd'],
    ],
    [['d'], ['a', 'b', 'c']],
    [['d', 'a', 'c', 'b'], []],
  ])('stay in their order when %s leave', (leaving, left) => {
    const running = new Running<string>()
    const places = new Map(['a', 'b', 'c', 'd'].map((item) => [item, placed(running, item)]))
    for (const item of leaving) running.leave(places.get(item) as never)
    expect([[...running], running.size]).toEqual([left, left.length])
    placed(running, 'e')
    expect([...running]).toEqual([...left, 'e'])
  })

  it('are a set to those who read them', () => {
    const running = new Running<string>()
    for (const item of ['a', 'b']) placed(running, item)
    const set: ReadonlySet<string> = running
    const told: string[] = []
    set.forEach((item, key, all) => void told.push(item + key + all.size))
    expect(told).toEqual(['aa2', 'bb2'])
    expect([[...set.keys()], [...set.values()], [...set.entries()]]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      [
        ['a', 'a'],
        ['b', 'b'],
      ],
    ])
    expect([set.has('b'), set.has('c')]).toEqual([true, false])
  })
})
