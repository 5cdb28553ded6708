// Row: misuse at construction. Whatever is wrong with an option is said at once, with a code, the value and what to do.
import { types } from 'node:util'
import { TaskspanError } from 'taskspan'
import { holds, same } from '../cases/expect.ts'
import { FACTORIES, type Factory, instance, ONIONS } from '../cases/factories.ts'
import { CONTENDERS } from '../contenders/index.ts'
import type { Bench, Case, Fault } from '../fault.ts'

/** One of each kind; `undefined` means unset everywhere. */
const WRONG: Readonly<Record<string, unknown>> = {
  null: null,
  'a symbol': Symbol('wrong'),
  'a negative number': -1,
  'no number': Number.NaN,
  'an infinite number': Number.POSITIVE_INFINITY,
  'a bigint': 7n,
  'an empty text': '',
  'a text': 'wrong value',
  true: true,
  'an object': { wrong: 'value' },
  'a list': ['wrong', 7],
  'a date': new Date(0),
}

type Verdict = { readonly refused: TaskspanError } | { readonly accepted: unknown }

/** Calls a factory; whatever is thrown must be ours, and must have come before anything was made. */
async function verdict(make: () => unknown): Promise<Verdict> {
  try {
    const made = make()
    const accepted = types.isPromise(made) ? await made : made
    await (accepted as { close?: () => unknown } | undefined)?.close?.()
    return { accepted }
  } catch (error) {
    if (!(error instanceof TaskspanError)) throw new Error(`it threw ${String(error)}`)
    holds(`'${error.message}' ends with its help`, error.help.length > 20 && error.message.endsWith(error.help))
    return { refused: error }
  }
}

/** The careless contender takes everything. */
function makeOf({ contender }: Bench, { make }: Factory): (given: object) => unknown {
  if (contender !== 'careless') {
    const t = instance()
    return (given) => make(given as never, t)
  }
  const bench = { recorded: { metrics: { registry: undefined }, logs: { logger: undefined } }, after() {} }
  return (given) => CONTENDERS.careless.instrument(given, bench as never)
}

// An option may be a set of options itself; a recorder finds the one that every case has.
const CODES: ReadonlySet<string> = new Set(['INVALID_OPTION', 'UNKNOWN_OPTION', 'NOT_LISTENING', 'SDK_REGISTERED'])

const unknown = (factory: Factory): Case => ({
  title: `${factory.title}: an unknown option`,
  async run(bench) {
    const said = await verdict(() => makeOf(bench, factory)({ nonsense: 'wrong value' }))
    if (!('refused' in said)) throw new Error('it was accepted')
    const { code, message } = said.refused
    same('code', code, 'UNKNOWN_OPTION')
    const shows = factory.keepsSecrets ? '("…")' : '"wrong value"'
    holds(`'${message}' names key and value`, message.includes("'nonsense'") && message.includes(shows))
    const known = /Known: (.*?)\. [A-Z]/.exec(message)?.[1]?.split(', ') ?? []
    same('the options tried here are those that it knows', [...factory.options].sort(), known.sort())
  },
})

const wrongKind = (factory: Factory): Case => ({
  title: `${factory.title}: options that are none`,
  async run(bench) {
    for (const given of [7, 'text', null, ['list']]) {
      // Where the options are spread into others, there is nothing to see.
      const said = await verdict(() => makeOf(bench, factory)(given as never))
      if ('refused' in said) continue
      holds(`${JSON.stringify(given)} is no more than nothing`, typeof given !== 'object' || given === null)
    }
  },
})

const option = (factory: Factory, name: string): Case => ({
  title: `${factory.title}: ${name} of every wrong kind`,
  async run(bench) {
    let refusals = 0
    for (const [what, value] of Object.entries(WRONG)) {
      const said = await verdict(() => makeOf(bench, factory)({ [name]: value }))
      if (!('refused' in said)) continue
      refusals++
      const { code, message } = said.refused
      holds(`the code for ${what} is ${code}`, CODES.has(code))
      holds(`'${message}' names the option`, message.includes(`'${name}'`) || message.includes(name))
    }
    // Text, numbers, flags, functions, lists: no option takes more than a few of them.
    holds(`${refusals} of ${Object.keys(WRONG).length} values are refused`, refusals >= 6)
  },
})

const LABELS: Case[] = ['tier-1', '1tier', 'tier level', '', '__name', 'le', 'queue', 'ü'].map((label) => ({
  title: `telemetry(): the label '${label}', which Prometheus refuses or we have`,
  async run(bench) {
    const telemetry = FACTORIES[0] as Factory
    const said = await verdict(() => makeOf(bench, telemetry)({ labels: { [label]: () => 'x' } }))
    if (!('refused' in said)) throw new Error('it was accepted')
    holds(`'${said.refused.message}' names the label`, said.refused.message.includes(label))
  },
}))

const onions: Case[] = Object.entries(ONIONS).map(([title, make]) => ({
  title: `${title}: a middleware that is none`,
  contenders: ['taskspan'],
  async run() {
    for (const value of [7, 'text', null, {}, []]) {
      holds(`${JSON.stringify(value)} is refused`, 'refused' in (await verdict(() => make(value as never))))
    }
  },
}))

export const misuse: Fault = {
  name: 'misuse at construction',
  promise:
    'what is wrong is refused at once, with a code, its name and value, and help; everything else is accepted for good',
  places: ['no broker'],
  cases: () => [
    ...FACTORIES.flatMap((factory) => [
      unknown(factory),
      wrongKind(factory),
      ...factory.options.map((name) => option(factory, name)),
    ]),
    ...LABELS,
    ...onions,
  ],
}
