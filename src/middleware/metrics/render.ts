// A registry as text, in either exposition format, in any order, whatever one collector does.
import { type Metric, Registry, type RegistryContentType } from 'prom-client'
import { fault } from '../../kernel/faults.ts'

/** A rendered scrape: send `body` with `contentType`. */
export interface Rendered {
  readonly contentType: string
  readonly body: string
}

/** Also one that was made by `AggregatorRegistry.aggregate()`. */
type AnyRegistry = Registry | Registry<RegistryContentType>

// Below the 10 s that Prometheus gives a scrape.
const COLLECT_MS = 5_000

/** Those whose collector has been given up and has not settled since: asked again at each scrape, it would pile up. */
const hanging = new WeakSet<object>()

/**
 * Renders a registry for one scrape. OpenMetrics (with exemplars) when `accept` asks for it, else the classic format.
 * Unlike `registry.metrics()` it leaves the registry as it was, so that the next scrape may ask for the other format,
 * and a collector that throws, or that has not settled after 5 s, is left out and counted instead of failing the whole
 * scrape. One that hangs is not asked again until it has settled.
 *
 * @param accept the request's `Accept` header
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 * @example
 * const { contentType, body } = await render(register, request.headers.accept)
 */
export async function render(registry: AnyRegistry, accept = ''): Promise<Rendered> {
  const openMetrics = accept.includes('application/openmetrics-text')
  const contentType = openMetrics ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE
  // prom-client's own formatter and default labels, under a content type of this call alone.
  const view: Registry = Object.create(registry, { contentType: { value: contentType } })

  const limit = deadline()
  const parts = await Promise.all(
    registry.getMetricsAsArray().map(async (metric) => {
      try {
        if (hanging.has(metric)) throw new Error(`the collector of ${metric.name} still hangs`)
        const text = format(view, registry, metric as unknown as Readable, openMetrics)
        return await Promise.race([text, limit.passed.then(() => giveUp(metric, text))])
      } catch (error) {
        fault('metrics', 'collect', error)
        return ''
      }
    }),
  )
  limit.clear()
  const body = parts.filter((part) => part !== '')
  return { contentType, body: openMetrics ? [...body, '# EOF\n'].join('\n') : `${body.join('\n\n')}\n` }
}

function deadline(): { readonly passed: Promise<void>; readonly clear: () => void } {
  let timer: NodeJS.Timeout | undefined
  const passed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, COLLECT_MS)
  })
  return { passed, clear: () => clearTimeout(timer) }
}

function giveUp(metric: { readonly name: string }, text: Promise<string>): never {
  const settled = (): void => void hanging.delete(metric)
  hanging.add(metric)
  text.then(settled, settled)
  throw new Error(`the collector of ${metric.name} has not settled within ${COLLECT_MS} ms`)
}

interface Readable {
  readonly name: string
  readonly type: string
  get(): Promise<{ name: string }>
  getForPromString?(): Promise<{ name: string }>
}

async function format(view: Registry, registry: AnyRegistry, metric: Readable, openMetrics: boolean): Promise<string> {
  const data = await (metric.getForPromString?.() ?? metric.get())
  const base = data.name.replace(/_total$/, '')
  // A counter that an OpenMetrics scrape of prom-client's has renamed still stands under its first name in the registry.
  const renamed = registry.getSingleMetric(`${base}_total`) === (metric as unknown)
  const full = renamed ? `${base}_total` : data.name
  const name = openMetrics && metric.type === 'counter' ? base : full
  const copy = { get: async () => ({ ...data, name }) }
  return (view as unknown as Formatter).getMetricsAsString(copy as unknown as Metric)
}

interface Formatter {
  getMetricsAsString(metric: Metric): Promise<string>
}
