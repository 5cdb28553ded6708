// TASKSPAN_INSTRUMENT_<NAME>, and on workers TASKSPAN_INSTRUMENT_<NAME>_WORKERS: which calls of other libraries make spans.
import { env } from '../environment.ts'
import type { Problems } from '../problems.ts'

/** A worker takes messages; an API answers requests. */
export type Role = 'worker' | 'api'

export type Subject = 'HTTP_CLIENT' | 'HTTP_SERVER' | 'SQL' | 'GENAI' | 'REDIS' | 'AMQP'

/** `asked` is on because somebody said so, and a package that it needs is then missed. */
export type Switch = 'on' | 'asked' | 'off'

const DEFAULTS: Readonly<Record<Subject, (role: Role) => boolean>> = {
  HTTP_CLIENT: () => true,
  // In a worker it would only see probes and scrapes.
  HTTP_SERVER: (role) => role === 'api',
  SQL: () => true,
  GENAI: () => true,
  // Uniformly fast, and so many that they flood a trace.
  REDIS: () => false,
  // taskspan/amqp is it.
  AMQP: () => false,
}

const PREFIX = 'TASKSPAN_INSTRUMENT_'
const WORKERS = '_WORKERS'

/** By custom an API is called so; a process that names no worker is one too. */
export const roleOf = (worker: string | undefined): Role =>
  worker === undefined || worker === '' || worker === 'api' ? 'api' : 'worker'

export type Switches = Readonly<Record<Subject, Switch>>

export function switches(role: Role, problems: Problems): Switches {
  const subjects = Object.keys(DEFAULTS) as Subject[]
  for (const name of Object.keys(process.env)) {
    const subject = name.startsWith(PREFIX) ? name.slice(PREFIX.length).replace(/_WORKERS$/, '') : undefined
    if (subject === undefined || Object.hasOwn(DEFAULTS, subject)) continue
    problems.add('switch', `${name} switches nothing: there are ${subjects.map((known) => PREFIX + known).join(', ')}`)
  }
  const entries = subjects.map((subject) => {
    const given =
      (role === 'worker' ? flag(PREFIX + subject + WORKERS, problems) : undefined) ?? flag(PREFIX + subject, problems)
    return [subject, given === undefined ? (DEFAULTS[subject](role) ? 'on' : 'off') : given ? 'asked' : 'off']
  })
  return Object.fromEntries(entries) as Record<Subject, Switch>
}

function flag(name: string, problems: Problems): boolean | undefined {
  const value = env(name)?.toLowerCase()
  if (value === undefined) return undefined
  if (value === 'true' || value === '1') return true
  if (value === 'false' || value === '0') return false
  problems.add('switch', `${name} must be true or false, got '${value.slice(0, 80)}'; it counts as not set`)
  return undefined
}
