// The options of the preset and its parts: what is right compiles, what is wrong does not. Checked by `tsc`.
import { type Logger, pino } from 'pino'
import { Registry } from 'prom-client'
import type { Middleware, Task } from 'taskspan'
import { bind, type LoggingOptions, log, logger, logging, mixin, pinoOptions } from 'taskspan/logging'
import { type Metrics, type MetricsOptions, metrics, type Rendered, render } from 'taskspan/metrics'
import { type Telemetry, type TelemetryOptions, telemetry } from 'taskspan/telemetry'
import { detach, injectHeaders, type ParentMode, type TracingOptions, tracing } from 'taskspan/tracing'
import { expectTypeOf } from 'vitest'

// The preset takes the options of its parts, and each may be undefined.
const registry = new Registry()
const t = telemetry({
  ...{ prefix: 'jobs', tracing: true, metrics: true, logging: true, registry, logger: pino(), slowAfterMs: 1_000 },
  ...{
    maxTraceAgeMs: 60_000,
    durationBuckets: [1, 2],
    waitBuckets: [1],
    redact: ['iban'],
    correlation: ['request_id'],
  },
  parent: (task) => (task.type === 'cron' ? 'root' : 'child'),
  attributes: (task) => ({ tenant: task.name, sizes: [1, 2] }),
  labels: { tier: (task: Task) => (task.priority === 1 ? 'gold' : undefined) },
  correlate: (task) => ({ project: task.id, size: 3 }),
  onFailure: async (error, task) => {
    expectTypeOf(error).toBeUnknown()
    expectTypeOf(task).toEqualTypeOf<Task>()
  },
})
expectTypeOf(t).toEqualTypeOf<Telemetry>()
expectTypeOf(t).toExtend<Middleware>()
expectTypeOf(t.registry).toEqualTypeOf<Registry | undefined>()
expectTypeOf(t.running).toEqualTypeOf<ReadonlySet<Task>>()
telemetry()
telemetry({ prefix: undefined, parent: undefined, registry: undefined, labels: undefined, onFailure: undefined })
expectTypeOf<TelemetryOptions>().toExtend<object>()

// @ts-expect-error: no option of another spelling
telemetry({ prefx: 'jobs' })
// @ts-expect-error: a switch, not options
telemetry({ metrics: { prefix: 'jobs' } })
// @ts-expect-error: one of three modes
telemetry({ parent: 'sibling' })
// @ts-expect-error: the function gives one of three modes
telemetry({ parent: () => 'sibling' })
// @ts-expect-error: milliseconds
telemetry({ slowAfterMs: '30s' })
// @ts-expect-error: a list of keys
telemetry({ correlation: 'request_id' })
// @ts-expect-error: attributes are of OpenTelemetry's kinds
telemetry({ attributes: () => ({ user: { id: 7 } }) })
// @ts-expect-error: a label is a text
telemetry({ labels: { tier: () => 7 } })
// @ts-expect-error: a pino logger
telemetry({ logger: console })
// @ts-expect-error: null is not unset
telemetry(null)

// Each part takes its own options only.
expectTypeOf(tracing()).toEqualTypeOf<Middleware>()
expectTypeOf(metrics()).toEqualTypeOf<Metrics>()
expectTypeOf(logging()).toExtend<Middleware>()
expectTypeOf<ParentMode>().toEqualTypeOf<'child' | 'link' | 'root'>()
tracing({ parent: 'link', correlation: ['request_id'] })
// @ts-expect-error: of logging
tracing({ slowAfterMs: 1 })
// @ts-expect-error: of tracing
metrics({ parent: 'link' })
// @ts-expect-error: of metrics
logging({ labels: {} })
expectTypeOf<keyof MetricsOptions>().toEqualTypeOf<
  'prefix' | 'registry' | 'labels' | 'durationBuckets' | 'waitBuckets'
>()
expectTypeOf<keyof TracingOptions>().toEqualTypeOf<
  'prefix' | 'parent' | 'maxTraceAgeMs' | 'attributes' | 'correlation' | 'correlate'
>()
expectTypeOf<keyof LoggingOptions>().toEqualTypeOf<'logger' | 'slowAfterMs' | 'redact' | 'correlation' | 'correlate'>()

expectTypeOf(render(registry, 'text/plain')).toEqualTypeOf<Promise<Rendered>>()
expectTypeOf(render(registry, undefined)).toEqualTypeOf<Promise<Rendered>>()
// @ts-expect-error: a registry
render('taskiq')

expectTypeOf(logger()).toEqualTypeOf<Logger>()
logger({ level: 'debug' }, process.stderr)
pino(pinoOptions({ name: 'x' }))
pino({ mixin })
expectTypeOf(log()).toEqualTypeOf<Logger>()
expectTypeOf(bind({ request_id: 'r-1', shot: 3, ok: true, none: undefined }, () => 7)).toEqualTypeOf<number>()
expectTypeOf(bind({}, async () => 'x')).toEqualTypeOf<Promise<string>>()
// @ts-expect-error: a value that travels is a text, a number or a boolean
bind({ user: { id: 7 } }, () => 7)

expectTypeOf(injectHeaders({ accept: 'text/html' })).toEqualTypeOf<Record<string, string>>()
expectTypeOf(detach(async () => 7)).toEqualTypeOf<Promise<number>>()
expectTypeOf(detach(() => 'x')).toEqualTypeOf<string>()
