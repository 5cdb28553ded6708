// What the demo prints besides the traces: captions, the interesting metrics, a few log lines.
import { Writable } from 'node:stream'
import type { Registry } from 'prom-client'
import { render } from 'taskspan/metrics'
import type { SdkStatus } from 'taskspan/sdk'
import type { Broker } from './embedded.ts'

const colour = process.stdout.isTTY && !process.env.NO_COLOR
const bold = (text: string): string => (colour ? `\u001b[1m${text}\u001b[0m` : text)
const dim = (text: string): string => (colour ? `\u001b[2m${text}\u001b[0m` : text)

export const say = (text = ''): void => void process.stdout.write(`${text}\n`)
export const title = (text: string): void => say(`${bold(text)}\n`)
export const aside = (text: string): void => say(dim(text))

/** Where the demo's log lines go; a worker's go to stdout. */
export function memory(lines: Record<string, unknown>[]): Writable {
  return new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      lines.push(JSON.parse(line) as Record<string, unknown>)
      done()
    },
  })
}

/** The lines as they were written, but for the stack of an error, which is long. */
export function sayLines(lines: readonly Record<string, unknown>[]): void {
  for (const line of lines) say(JSON.stringify(line, (key, value) => (key === 'stack' ? '…' : value)))
  say()
}

const INTERESTING = /^taskiq_(tasks_total|task_failures_total|messages_sent_total|task_wait_seconds_sum)\{/

export async function sayMetrics(registry: Registry): Promise<void> {
  // OpenMetrics has exemplars: the failure counter names a trace that is shown above.
  const { body } = await render(registry, 'application/openmetrics-text')
  for (const line of body.split('\n')) if (INTERESTING.test(line)) say(line)
  say()
}

/** How to point the demo elsewhere, and where it was pointed. */
export function sayHowTo(broker: Broker, { destinations }: SdkStatus): void {
  title('With your own Redis and your own backend (Jaeger, Tempo, a collector, …)')
  say('REDIS_URL=redis://127.0.0.1:6379 OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 npm run demo\n')
  aside(`This was ${broker.describe}.`)
  for (const { name, target, delivered, failed } of destinations) {
    if (name === 'otlp')
      aside(`${delivered} spans went to ${target}${failed > 0 ? `, and ${failed} did not arrive` : ''}.`)
  }
}
