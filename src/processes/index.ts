// Many processes, one telemetry: what runs in a child is told in its parent.
export { type ClusterOf, collectMetrics, type Reporting, type ReportMetricsOptions, reportMetrics } from './metrics.ts'
export { sandboxed } from './sandboxed.ts'
