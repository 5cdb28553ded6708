// What serve() and handler() take, checked once, with what the environment says.
import { type Checks, checksWrong } from '../kernel/checks.ts'
import { atLeast, checkOptions, strings, TaskspanError } from '../kernel/errors.ts'
import type { SdkSource, TelemetrySource, WatchSource } from './sources.ts'

/** Shown as JSON at `/debug/<name>`; gets the query's parameters. Five seconds, 1 MiB; credentials are redacted. */
export type Section = (query: Readonly<Record<string, string>>) => unknown

export interface DebugOptions {
  /** Asked of every POST, and of everything below `/debug` beyond loopback. Default: `TASKSPAN_DEBUG_TOKEN`. */
  readonly token?: string | undefined
  /** Sections of your own: `{ artifacts: (query) => listArtifacts(query.clip) }` is `/debug/artifacts`. */
  readonly sections?: Readonly<Record<string, Section>> | undefined
  /** Names under which this server may be called, besides its addresses and the machine's own name. */
  readonly hosts?: readonly string[] | undefined
}

export interface HandlerOptions {
  /** What `telemetry()` gave. */
  readonly telemetry: TelemetrySource
  /** What `start()` gave: while it drains, `/ready` says 503. */
  readonly sdk?: SdkSource | undefined
  /** What `watch()` gave: queues, schedules and connections. */
  readonly watch?: WatchSource | undefined
  /** Behind `/ready`, run in parallel: `{ redis: () => redis.ping() }`. */
  readonly checks?: Checks | undefined
  /** How long a check may take, in ms. Default 2,000. */
  readonly checkTimeoutMs?: number | undefined
  /** Switches `/debug` on. Default: off. */
  readonly debug?: boolean | DebugOptions | undefined
}

export interface ServeOptions extends HandlerOptions {
  /** Default: `TASKSPAN_HOST`, else `127.0.0.1`: nobody else can reach it. */
  readonly host?: string | undefined
  /** Default: `TASKSPAN_PORT`, else 9464; 0 takes a free one. */
  readonly port?: number | undefined
}

/** The options with their defaults; `debug` is undefined when it is off. */
export interface Settings {
  readonly checks: Checks
  readonly checkTimeoutMs: number
  readonly debug: DebugSettings | undefined
}

export interface DebugSettings {
  /** Empty when there is none: then nobody has it. */
  readonly token: string
  readonly sections: Readonly<Record<string, Section>>
  readonly hosts: readonly string[]
}

const SECTION = /^[a-z][a-z0-9_-]{0,63}$/

export function settingsOf(where: string, options: HandlerOptions, taken: ReadonlySet<string>): Settings {
  checkOptions(where, options, where === 'serve' ? { ...CHECKS, host: isHost, port: isPort } : CHECKS)
  const { debug = false, checks = {}, checkTimeoutMs = 2_000 } = options
  if (options.telemetry === undefined) checkOptions(where, { telemetry: null }, CHECKS)
  if (debug === false) return { checks, checkTimeoutMs, debug: undefined }

  const given = debug === true ? {} : debug
  // Not through checkOptions, which shows the value: a token is a credential, also where its key is misspelt.
  if (given.token !== undefined && (typeof given.token !== 'string' || given.token.trim() === '')) {
    throw new TaskspanError('INVALID_OPTION', `${where}: debug: 'token' must be a string that is not empty.`)
  }
  const known = { token: 'string', sections: (value: unknown) => sections(value, taken), hosts: strings } as const
  const shown = Object.entries(given).map(([key, value]) => {
    return [key, key === 'token' ? undefined : typeof value === 'string' ? '…' : value]
  })
  checkOptions(`${where}: debug`, Object.fromEntries(shown), known)
  const { token = process.env.TASKSPAN_DEBUG_TOKEN ?? '', sections: own = {}, hosts = [] } = given
  return { checks, checkTimeoutMs, debug: { token: token.trim(), sections: own, hosts } }
}

/** Where to listen. */
export function addressOf({ host, port }: ServeOptions): { readonly host: string; readonly port: number } {
  const [TASKSPAN_HOST, TASKSPAN_PORT] = [process.env.TASKSPAN_HOST?.trim(), process.env.TASKSPAN_PORT?.trim()]
  const wanted = port ?? (TASKSPAN_PORT ? Number(TASKSPAN_PORT) : 9464)
  const wrong = isPort(wanted)
  if (wrong) throw new TaskspanError('INVALID_OPTION', `serve: TASKSPAN_PORT ${wrong}, got '${TASKSPAN_PORT}'.`)
  return { host: host ?? (TASKSPAN_HOST || '127.0.0.1'), port: wanted }
}

const method = (name: string) => (value: unknown) =>
  typeof (value as Record<string, unknown> | null)?.[name] === 'function' ? undefined : `must have ${name}()`

const CHECKS = {
  telemetry: (value: unknown) =>
    typeof value === 'function' && 'recent' in value ? undefined : 'must be what telemetry() gave',
  sdk: method('status'),
  watch: method('snapshot'),
  checks: checksWrong,
  checkTimeoutMs: atLeast(1),
  debug: (value: unknown) =>
    typeof value === 'boolean' || (typeof value === 'object' && value !== null)
      ? undefined
      : 'must be true or an object',
}

// An empty one would listen on every interface.
function isHost(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? undefined : 'must be a string that is not empty'
}

function isPort(value: unknown): string | undefined {
  const ok = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65_535
  return ok ? undefined : 'must be an integer from 0 to 65535'
}

function sections(value: unknown, taken: ReadonlySet<string>): string | undefined {
  if (typeof value !== 'object' || value === null) return 'must be an object of functions'
  for (const [name, show] of Object.entries(value)) {
    if (!SECTION.test(name)) return `has the name '${name}', which must match ${SECTION.source}`
    if (taken.has(`/debug/${name}`)) return `has the name '${name}', which is taken`
    if (typeof show !== 'function') return `must have a function for '${name}'`
  }
  return undefined
}
