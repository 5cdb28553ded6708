// Every path and what answers it: a table of contents. Paths are compared as they were sent, never decoded or resolved.
import { config } from './config.ts'
import { health, ready } from './health.ts'
import { logLevel, logs } from './lines.ts'
import { memory } from './memory.ts'
import { observed } from './observed.ts'
import { profile } from './profile.ts'
import type { Desk, Route } from './route.ts'
import { scrape } from './scrape.ts'
import { section } from './section.ts'
import { status, workflow } from './status.ts'
import { traces } from './traces.ts'

export interface Routes {
  find(path: string): { readonly route: Route; readonly isDebug: boolean; readonly rest: string } | undefined
  close(): void
}

/** Names that a user's section cannot have. */
export const DEBUG_PATHS: ReadonlySet<string> = new Set(
  [
    ...['status', 'workflow', 'queue', 'schedules', 'memory', 'connections', 'logs', 'traces', 'config'],
    ...['log-level', 'profile'],
  ].map((name) => `/debug/${name}`),
)

export function routes(desk: Desk): Routes {
  const alive = health(desk)
  const readiness = ready(desk)
  const table = new Map<string, Route>([
    ['/metrics', scrape(desk)],
    ['/health', alive],
    ['/health/live', alive],
    ['/ready', readiness],
    ['/health/ready', readiness],
  ])
  const toClose: { close(): void }[] = [readiness]
  if (desk.settings.debug !== undefined) {
    const lag = memory(desk)
    const level = logLevel(desk)
    const cpu = profile()
    toClose.push(lag, level, cpu)
    const debug: Record<string, Route> = {
      ...{ status: status(desk), workflow: workflow(desk), memory: lag, logs: logs(desk), traces: traces(desk) },
      ...{ queue: observed(desk, 'queues'), schedules: observed(desk, 'schedules') },
      ...{ connections: observed(desk, 'connections'), config: config(desk), 'log-level': level, profile: cpu },
    }
    for (const [name, show] of Object.entries(desk.settings.debug.sections)) debug[name] = section(desk, name, show)
    for (const [name, route] of Object.entries(debug)) table.set(`/debug/${name}`, route)
  }
  return {
    find(path) {
      const isDebug = path === '/debug' || path.startsWith('/debug/')
      const exact = table.get(path)
      if (exact !== undefined) return { route: exact, isDebug, rest: '' }
      const at = path.lastIndexOf('/')
      const above = table.get(path.slice(0, at))
      return above?.isPrefix ? { route: above, isDebug, rest: path.slice(at + 1) } : undefined
    },
    close() {
      for (const part of toClose) part.close()
    },
  }
}
