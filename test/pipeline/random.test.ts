// Random graphs, functions and failures: what holds for every pipeline, whatever it looks like.
import fc from 'fast-check'
import { pipeline } from 'taskspan/pipeline'
import { recordSpans } from 'taskspan/testing'
import { tracing } from 'taskspan/tracing'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'

let spans: ReturnType<typeof recordSpans>
beforeAll(() => {
  spans = recordSpans()
})
beforeEach(() => spans.reset())
afterAll(() => spans.close())

interface Sketch {
  readonly needs: readonly number[]
  /** Turns of the event loop that an attempt takes. */
  readonly turns: number
  /** Attempts that fail before one succeeds. */
  readonly failures: number
  readonly retries: number
}

// Steps may name any earlier one; the order in which they are given is shuffled by the caller.
const graphs = fc
  .array(
    fc.record({
      needs: fc.array(fc.nat(), { maxLength: 4 }),
      turns: fc.nat({ max: 3 }),
      failures: fc.nat({ max: 2 }),
      retries: fc.nat({ max: 2 }),
    }),
    { minLength: 1, maxLength: 30 },
  )
  .map((steps) =>
    steps.map((step, at): Sketch => ({ ...step, needs: at === 0 ? [] : [...new Set(step.needs.map((n) => n % at))] })),
  )

const idOf = (at: number): string => `s${at}`
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

it('with one place, the first defined of those that are ready runs next', async () => {
  await fc.assert(
    fc.asyncProperty(graphs, fc.boolean(), async (graph, reversed) => {
      const order = reversed ? [...graph.keys()].reverse() : [...graph.keys()]
      const ran: number[] = []
      await pipeline('random')
        .options({ concurrency: 1 })
        .steps(
          order.map((at) => ({
            id: idOf(at),
            after: (graph[at] as Sketch).needs.map(idOf),
            run: async () => void ran.push(at),
          })),
        )
        .run()
      const expected: number[] = []
      const isReady = (at: number) => (graph[at] as Sketch).needs.every((need) => expected.includes(need))
      while (expected.length < graph.length) {
        expected.push(order.find((at) => !expected.includes(at) && isReady(at)) as number)
      }
      expect(ran).toEqual(expected)
    }),
    { numRuns: 300 },
  )
})

it.each(['abort', 'continue'] as const)(
  'on %s: needs first, attempts bounded, concurrency kept, spans ended, outputs right',
  async (onFailure) => {
    await fc.assert(
      fc.asyncProperty(graphs, fc.integer({ min: 1, max: 5 }), fc.boolean(), async (graph, concurrency, reversed) => {
        const attempts = graph.map(() => 0)
        const done = new Set<number>()
        let running = 0
        let most = 0

        const data = graph.map(({ needs, turns, failures, retries }, at) => ({
          id: idOf(at),
          after: needs.map(idOf),
          options: { retries, backoff: { initialMs: 0, jitter: false } },
          async run(context: Readonly<Record<string, unknown>>) {
            attempts[at] = (attempts[at] ?? 0) + 1
            running++
            most = Math.max(most, running)
            try {
              for (const need of needs) {
                expect(done.has(need)).toBe(true)
                expect(context[idOf(need)]).toBe(`output ${need}`)
              }
              for (let n = 0; n < turns; n++) await turn()
              if ((attempts[at] ?? 0) <= failures) throw new Error(`${at} fails`)
              done.add(at)
              return `output ${at}`
            } finally {
              running--
            }
          },
        }))
        const defined = pipeline<undefined>('random', tracing())
          .options({ concurrency, onFailure })
          .steps(reversed ? data.reverse() : data)
        const run = defined.run(undefined, { keep: true })
        const outputs = await run.then(
          (value) => value as Record<string, unknown>,
          () => undefined,
        )

        const fails = graph.some(({ failures, retries }) => failures > retries)
        expect(outputs === undefined).toBe(fails)
        if (outputs !== undefined) for (const at of graph.keys()) expect(outputs[idOf(at)]).toBe(`output ${at}`)
        graph.forEach(({ failures, retries }, at) => {
          expect(attempts[at]).toBeLessThanOrEqual(Math.min(failures, retries) + 1)
        })
        expect(most).toBeLessThanOrEqual(concurrency)
        expect(running).toBe(0)
        expect(spans.open).toHaveLength(0)
        spans.reset()
      }),
      { numRuns: 150 },
    )
  },
)
