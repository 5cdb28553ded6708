// /debug/<name>: a section of the user's own, with a time-out and a cap on its size.
import { describeError } from '../kernel/outcome.ts'
import { type Answer, Refusal } from './answer.ts'
import type { Section } from './options.ts'
import { type Desk, inTime, type Route } from './route.ts'

const LIMIT_MS = 5_000
const MAX_BYTES = 1_024 * 1_024
const MAX_PARAMETERS = 20

export function section({ writer }: Desk, name: string, show: Section): Route {
  return {
    async answer({ query }): Promise<Answer> {
      const parameters = Object.assign(Object.create(null), Object.fromEntries([...query].slice(0, MAX_PARAMETERS)))
      try {
        const value = await inTime(
          LIMIT_MS,
          Promise.resolve().then(() => show(parameters)),
          () => late(name),
        )
        return writer.json(value, 200, MAX_BYTES)
      } catch (error) {
        if (error instanceof Refusal) throw error
        const { type, message } = describeError(error)
        const details = { section: name, type, message: message.slice(0, 500) }
        throw new Refusal(
          500,
          'section_failed',
          `The section '${name}' failed.`,
          'See `details`; the code is yours.',
          details,
        )
      }
    },
  }
}

function late(name: string): Refusal {
  const message = `The section '${name}' gave nothing within ${LIMIT_MS} ms.`
  return new Refusal(504, 'section_timeout', message, 'Let it answer from what it has at hand.')
}
