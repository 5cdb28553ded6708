// Switches OpenTelemetry's instrumentations on and off: loaded once, told what they may tell, given back at the end.
import { createRequire, syncBuiltinESMExports } from 'node:module'
import type { TracerProvider } from '@opentelemetry/api'
import { guard } from '../../kernel/faults.ts'
import { load, MissingPackage } from '../packages.ts'
import type { Problems } from '../problems.ts'
import { isImported, isInstalled, isRequired } from './application.ts'
import { type Instrumentation, KNOWN, type Known } from './known.ts'
import { parented } from './parented.ts'
import { type Role, type Subject, type Switches, switches } from './switches.ts'

const require = createRequire(import.meta.url)

/** Those that were made: what one has put before `require` cannot be taken away again, so it is made once. */
const made = new Map<Known, Made>()

interface Made {
  readonly instrumentation: Instrumentation
  isEnabled: boolean
}

let isPreloaded = false

/** Said before the application is loaded. */
export function preloading(): void {
  isPreloaded = true
}

/** The instrumentations that were made, and the libraries that they are for. */
export function instrumented(): { readonly packages: readonly string[]; readonly libraries: readonly string[] } {
  const all = [...made.keys()]
  return { packages: all.map((known) => known.package), libraries: all.flatMap(({ libraries }) => libraries) }
}

/**
 * Brings every instrumentation to what the switches say for this role, or for any of those that it may have; loads what is needed and was not. What is missing
 * or came too late is named. Never throws.
 */
export function instrument(roles: readonly Role[], problems: Problems, provider?: TracerProvider): void {
  const chosen = roles.map((role) => switches(role, problems))
  const tooEarly: string[] = []
  for (const known of KNOWN) {
    const isOn = (subject: Subject): boolean => chosen.some((role) => role[subject] !== 'off')
    const before = made.get(known)
    try {
      if (!known.subjects.some(isOn)) {
        if (before !== undefined) disable(before)
        continue
      }
      if (before === undefined && !isWanted(known, chosen, isOn, problems)) continue
      if (before === undefined && !isPreloaded) tooEarly.push(...known.libraries.filter(isTooEarly(known)).slice(0, 1))
      tell(before ?? make(known), known, isOn, provider)
    } catch (error) {
      problems.add(
        'instrument',
        `${known.package} cannot be used: ${error instanceof Error ? error.message : error}`,
        error,
      )
    }
  }
  if (tooEarly.length > 0) problems.add('early', lateFor(tooEarly))
  patchNode()
}

/** Gives back what was patched. */
export function release(): void {
  for (const one of made.values()) guard('sdk', 'instrument', () => disable(one))
  patchNode()
}

// Not an error to miss what nobody asked for: Node's own HTTP is always there.
function isWanted(
  known: Known,
  chosen: readonly Switches[],
  isOn: (subject: Subject) => boolean,
  problems: Problems,
): boolean {
  const { subjects, package: name, libraries } = known
  if (libraries.length > 0 && !libraries.some(isInstalled)) return false
  try {
    require.resolve(name)
    return true
  } catch {
    const isAsked = subjects.some((subject) => chosen.some((role) => role[subject] === 'asked'))
    if (!isAsked && !isPreloaded && libraries.length === 0) return false
    const what = libraries[0] ?? "Node's own HTTP"
    const off = subjects.filter(isOn).map((subject) => `TASKSPAN_INSTRUMENT_${subject}=false`)
    const missing = `calls of ${what} make no spans: ${new MissingPackage(name).message}, or set ${off.join(' and ')}`
    problems.add('instrument', missing)
    return false
  }
}

function make(known: Known): Made {
  const { [known.name]: Class } = load<Record<string, new (config: object) => Instrumentation>>(known.package)
  if (Class === undefined) throw new Error(`it has no ${known.name}`)
  const one = { instrumentation: new Class({ enabled: false }), isEnabled: false }
  made.set(known, one)
  return one
}

// Off, told, on: some look at their configuration while they patch. And told after they were made, for one of them takes
// from an environment variable that prompts are to be recorded.
function tell(one: Made, known: Known, isOn: (subject: Subject) => boolean, provider?: TracerProvider): void {
  disable(one)
  one.instrumentation.setConfig({ enabled: true, ...known.config(isOn) })
  if (provider !== undefined) one.instrumentation.setTracerProvider(parented(provider))
  one.instrumentation.enable()
  one.isEnabled = true
}

// Not all of them bear to be disabled when they are not enabled.
function disable(one: Made): void {
  if (one.isEnabled) one.instrumentation.disable()
  one.isEnabled = false
}

// Node's own modules are patched in place, also where they were loaded long ago: asked for once through `require`, and
// then shown to who has imported their functions by name.
function patchNode(): void {
  if (made.size === 0) return
  for (const name of ['node:http', 'node:https']) require(name)
  syncBuiltinESMExports()
}

const isTooEarly =
  ({ isDual }: Known) =>
  (library: string): boolean =>
    isRequired(library) || (isDual === true && isImported(library))

const lateFor = (libraries: readonly string[]): string =>
  `loaded before start(), so that their calls make no spans: ${libraries.join(', ')}; run node --import taskspan/register`
