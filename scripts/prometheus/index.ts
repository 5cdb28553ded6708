// A private Prometheus and Alertmanager, and their tools, for tests. They end with the process that started them.
export { type Alertmanager, type AlertmanagerConfig, startAlertmanager } from './alertmanager.ts'
export { amtool, promtool } from './programs.ts'
export { type Prometheus, type PrometheusOptions, type ScrapeJob, startPrometheus } from './prometheus.ts'
