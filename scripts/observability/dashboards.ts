// All dashboards, as the files that they become.
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { external } from './dashboards/external.ts'
import { overview } from './dashboards/overview.ts'
import { pipelines } from './dashboards/pipelines.ts'
import { queues } from './dashboards/queues.ts'
import { schedules } from './dashboards/schedules.ts'
import { worker } from './dashboards/worker.ts'

export const DASHBOARDS: Readonly<Record<string, Dashboard>> = {
  'overview.json': overview,
  'queues.json': queues,
  'pipelines.json': pipelines,
  'schedules.json': schedules,
  'external.json': external,
  'worker.json': worker,
}

// Where Grafana places a control in a menu is the builder's default for links and annotations: out of sight.
export const toJson = (dashboard: Dashboard): string =>
  `${JSON.stringify(dashboard, (key, value: unknown) => (key === 'placement' && value === 'inControlsMenu' ? undefined : value), 2)}\n`
