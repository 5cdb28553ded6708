// /debug/queue, /debug/schedules and /debug/connections: watch()'s last samples as they are.
import { type Desk, needed, type Route } from './route.ts'
import type { WatchSnapshot } from './sources.ts'

export function observed({ sources, writer }: Desk, part: keyof WatchSnapshot): Route {
  return {
    answer() {
      const { [part]: seen } = needed(
        sources.watch,
        part,
        'Pass what watch() gave: serve({ telemetry, watch }).',
      ).snapshot()
      return writer.json({ [part]: seen })
    },
  }
}
