// Row: one poisoned message among 31 healthy ones, on three workers.
import { carriersOf } from '../cases/carriers.ts'
import { ranOnce, rendering } from '../cases/expect.ts'
import { PROPAGATORS, use } from '../cases/propagators.ts'
import type { Fault } from '../fault.ts'

const WORKERS = 3
const POISONS = [
  'metadata that is no JSON',
  'metadata that is an object',
  'bytes for everything',
  'a trace id of zeros',
]
const REGISTERED = ['the default propagator', 'a propagator that throws'] as const

export const poisoned: Fault = {
  name: 'one poisoned among 31 healthy',
  promise: 'all 32 tasks run once, and afterwards all three workers still take as many tasks as they may hold',
  places: ['BullMQ', 'RabbitMQ'],
  cases: (_, place) =>
    carriersOf(place)
      .filter(({ title }) => POISONS.includes(title))
      .flatMap((poison) => REGISTERED.map((propagator) => ({ poison, propagator })))
      .flatMap((each) => [1, 5].map((concurrency) => ({ ...each, concurrency })))
      .map(({ poison: { title, ...carried }, propagator, concurrency }) => ({
        title: `${title}, at concurrency ${concurrency}, with ${propagator}`,
        async run(bench) {
          const registered = PROPAGATORS[propagator]
          if (registered !== undefined) use(registered)
          const lane = await bench.open()
          const places = WORKERS * concurrency
          const all = meeting(places)
          for (let n = 0; n < WORKERS; n++) {
            await lane.work(
              async (delivery) => {
                if (delivery.name === 'meet') await all.arrive()
                return rendering(delivery)
              },
              { concurrency },
            )
          }
          const healthy = Array.from({ length: 31 }, (_, n) => ({ id: `healthy-${n}` }))
          await lane.put(...healthy.slice(0, 5), { id: 'poisoned', ...carried }, ...healthy.slice(5))
          await ranOnce(bench, lane, ['poisoned', ...healthy.map(({ id }) => id)])

          const met = Array.from({ length: places }, (_, n) => ({ id: `meet-${n}`, name: 'meet' }))
          await lane.put(...met)
          await ranOnce(
            bench,
            lane,
            met.map(({ id }) => id),
          )
        },
      })),
}

/** Nobody leaves before `count` have come: a worker that has stopped is missed. */
function meeting(count: number): { arrive(): Promise<void> } {
  let open: () => void = () => {}
  const complete = new Promise<void>((resolve) => {
    open = resolve
  })
  let here = 0
  return {
    arrive() {
      here++
      if (here === count) open()
      return complete
    },
  }
}
