// Row: hostile carriers. What stands in the place of a carrier costs a task at most its parent.
import { carriersOf } from '../cases/carriers.ts'
import { ranOnce, rendering } from '../cases/expect.ts'
import { PROPAGATORS, use } from '../cases/propagators.ts'
import { type Fault, sample } from '../fault.ts'

export const carriers: Fault = {
  name: 'hostile carriers',
  promise: 'the task and its healthy neighbours run once, with their own results, and the worker goes on',
  places: ['BullMQ', 'RabbitMQ'],
  cases: (form, place) =>
    Object.entries(PROPAGATORS).flatMap(([propagator, registered], nth) => {
      const all = carriersOf(place)
      // The short form tries all of them with the first propagator, and some with each other one.
      return (form.name === 'short' && nth > 0 ? sample(all, 6) : all).map(({ title, ...carried }) => ({
        title: `${title}, with ${propagator}`,
        async run(bench) {
          use(registered)
          const lane = await bench.open()
          await lane.work(rendering)
          await lane.put({ id: 'before' }, { id: 'hostile', ...carried }, { id: 'after' })
          await ranOnce(bench, lane, ['before', 'hostile', 'after'])
        },
      }))
    }),
}
