// Begins what a process has once: identity, SDK, instrumentations, logs. By start(), or before it by taskspan/register.
import { context, DiagConsoleLogger, DiagLogLevel, diag, propagation, trace } from '@opentelemetry/api'
import { setIdentity } from '../kernel/identity.ts'
import { registeredProvider } from '../kernel/tracer.ts'
import type { Running } from './close-down.ts'
import { env, isTrue } from './environment.ts'
import type { SdkStatus, StartOptions } from './face.ts'
import { identify, type Who } from './identify.ts'
import { instrument, release } from './instrument/index.ts'
import { roleOf } from './instrument/switches.ts'
import { logsWanted, sendLogs } from './logs.ts'
import { nameMisread } from './misread.ts'
import { Problems } from './problems.ts'
import { register } from './register.ts'

export interface Begun {
  readonly state: SdkStatus['state']
  readonly who: Who
  readonly problems: Problems
  /** Undefined when nothing of ours runs. */
  readonly running?: Running | undefined
}

export function begin(options: StartOptions, problems = new Problems()): Begun {
  const who = identify(options)
  setIdentity(who.identity)
  const begun = (state: SdkStatus['state'], running?: Running): Begun => ({ state, who, problems, running })
  if (isTrue('OTEL_SDK_DISABLED')) return begun('disabled')
  if (registeredProvider() !== undefined) return begun('foreign')

  nameMisread(problems)
  const silence = speak()
  try {
    const { provider, resource, destinations } = register(who.attributes, problems)
    instrument([roleOf(who.identity.worker)], problems, provider)
    const logs = logsWanted(options.logs, problems) ? sendLogs(resource, problems) : undefined
    const unregister = (): void => {
      silence()
      if (registeredProvider() !== provider) return
      release()
      trace.disable()
      context.disable()
      propagation.disable()
    }
    return begun('running', { provider, resource, destinations, logs, unregister })
  } catch (error) {
    silence()
    problems.add('start', `tracing is off: ${error instanceof Error ? error.message : String(error)}`, error)
    return begun('failed')
  }
}

/** What `taskspan/register` has begun becomes start()'s: its resource stands, and what start() says otherwise is named. */
export function join({ state, who, problems, running }: Begun, options: StartOptions): Begun {
  const { attributes } = identify(options)
  const differing = Object.keys(VARIABLES).filter((key) => attributes[key] !== who.attributes[key])
  if (differing.length > 0) {
    const told = differing.map(
      (key) => `${key} is ${JSON.stringify(who.attributes[key] ?? '')}, not ${JSON.stringify(attributes[key] ?? '')}`,
    )
    const variables = [...new Set(differing.map((key) => VARIABLES[key]))].join(' and ')
    problems.add('register', `${told.join('; ')}: taskspan/register came before start(); set ${variables} to the same`)
  }
  if (running === undefined || running.logs !== undefined || !logsWanted(options.logs, problems))
    return { state, who, problems, running }
  return { state, who, problems, running: { ...running, logs: sendLogs(running.resource, problems) } }
}

const VARIABLES: Readonly<Record<string, string>> = {
  'service.name': 'TASKSPAN_APP and TASKSPAN_WORKER',
  'service.version': 'OTEL_RESOURCE_ATTRIBUTES',
  'deployment.environment.name': 'OTEL_RESOURCE_ATTRIBUTES',
}

// OTEL_LOG_LEVEL makes the SDK's own voice heard, and only then: diag has one logger, which may be the user's.
function speak(): () => void {
  const level = DiagLogLevel[(env('OTEL_LOG_LEVEL') ?? '').toUpperCase() as keyof typeof DiagLogLevel]
  if (level === undefined) return () => {}
  diag.setLogger(new DiagConsoleLogger(), { logLevel: level, suppressOverrideMessage: true })
  return () => diag.disable()
}
