// /debug/config: what is in force, from the code and from the environment, without a credential.
import type { Writer } from './answer.ts'
import type { Desk, Route } from './route.ts'

const SHOWN = /^(OTEL_|TASKSPAN_)[A-Z0-9_]+$|^(LOG_LEVEL|NODE_ENV)$/
const SECRET = /HEADERS|TOKEN|SECRET|PASS|KEY|AUTH|COOKIE|CREDENTIAL|DSN/

export function config(desk: Desk): Route {
  const { sources, settings, writer } = desk
  const { checks, checkTimeoutMs, debug } = settings
  return {
    answer: () =>
      writer.json({
        telemetry: describe(sources.telemetry.options),
        server: {
          ...{ address: desk.address ?? null, checks: Object.keys(checks), check_timeout_ms: checkTimeoutMs },
          debug: debug && {
            ...{ sections: Object.keys(debug.sections), hosts: debug.hosts, has_token: debug.token !== '' },
          },
        },
        sources: { sdk: sources.sdk !== undefined, watch: sources.watch !== undefined },
        environment: environment(writer),
        node: process.version,
      }),
  }
}

/** Options as data: functions and foreign objects by what they are, not by what they hold. */
function describe(value: unknown, depth = 0): unknown {
  if (typeof value === 'function') return '(function)'
  if (typeof value !== 'object' || value === null) return value
  if (depth > 4) return '(…)'
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => describe(item, depth + 1))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return `(${value.constructor?.name ?? 'object'})`
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, describe(item, depth + 1)]))
}

function environment(writer: Writer): Record<string, string> {
  const shown: Record<string, string> = {}
  for (const [name, value = ''] of Object.entries(process.env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (SHOWN.test(name)) shown[name] = SECRET.test(name) ? '[REDACTED]' : publicPart(value, writer)
  }
  return shown
}

// The user and password of a URL are masked where it is written; a key may also stand in its query, or in a list of pairs.
function publicPart(value: string, writer: Writer): string {
  if (value.includes('://')) return value.replace(/[?#].*$/s, '?…')
  return value.replace(/([^\s,;=]+)=([^,;]*)/g, (pair, key: string) =>
    writer.isSecret(key) ? `${key}=[REDACTED]` : pair,
  )
}
