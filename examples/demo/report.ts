// What the demo prints besides the traces: captions, the interesting metrics, a few log lines.
import { Writable } from 'node:stream'
import type { PipelineReport, StepReport, StepStatus } from 'taskspan/pipeline'
import type { SdkStatus } from 'taskspan/sdk'
import type { Served } from 'taskspan/server'

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

/** What a finished run of a pipeline says of itself. */
export function sayRun({ steps, durationMs }: PipelineReport): void {
  const those = (status: StepStatus): StepReport[] => steps.filter((step) => step.status === status)
  const ids = (list: readonly StepReport[], between: string): string => list.map(({ id }) => id).join(between)

  // What was restored took no time; what was made in this attempt is the path to shorten.
  const path = those('success').filter(({ critical }) => critical)
  const took = path.reduce((sum, step) => sum + step.durationMs, 0)
  say(`${dim('critical path')}  ${ids(path, ' > ')}: ${took.toFixed()} of ${durationMs.toFixed()} ms`)
  say(`${dim('restored')}       ${ids(those('restored'), ', ')}, from a checkpoint in memory`)
  for (const { id, reason } of those('skipped')) say(`${dim('skipped')}        ${id}: ${reason}`)
  say()
}

/** What is to be seen with RabbitMQ. */
export function sayMail(): void {
  aside('With RabbitMQ, this trace goes on there: `send demo.mail`, and below it `taskiq.mail_owner`.')
  aside('AMQP_URL=amqp://127.0.0.1 npm run demo\n')
}

const INTERESTING =
  /^taskiq_(tasks_total|task_failures_total|messages_sent_total|task_wait_seconds_sum|pipelines_total|steps_total)\{/

export async function sayMetrics({ address }: Served): Promise<void> {
  // OpenMetrics has exemplars: the failure counter names a trace that is shown above.
  const response = await fetch(`${address}/metrics`, { headers: { accept: 'application/openmetrics-text' } })
  for (const line of (await response.text()).split('\n')) if (INTERESTING.test(line)) say(line)
  say()
}

const LONGEST = 160

/** What probes get, and the beginning of what people see. */
export async function sayServed({ address }: Served): Promise<void> {
  for (const path of ['/health', '/ready', '/debug/status', '/debug/queue', '/debug/schedules']) {
    const text = (await (await fetch(address + path)).text()).trim()
    say(`${bold(`GET ${path}`)}  ${text.length > LONGEST ? `${text.slice(0, LONGEST)} ${dim('…')}` : text}`)
  }
  say()
}

/** How to point the demo elsewhere, and where it was pointed. */
export function sayHowTo(brokers: readonly ({ describe: string } | undefined)[], { destinations }: SdkStatus): void {
  title('With your own Redis, RabbitMQ and backend (Jaeger, Tempo, a collector, …)')
  say('REDIS_URL=redis://127.0.0.1:6379 AMQP_URL=amqp://127.0.0.1 OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 \\')
  say('npm run demo\n')
  aside('npm run demo -- --stay goes on serving until Ctrl-C.')
  aside(`This was ${brokers.flatMap((broker) => broker?.describe ?? []).join(', and ')}.`)
  for (const { name, target, delivered, failed } of destinations) {
    if (name === 'otlp')
      aside(`${delivered} spans went to ${target}${failed > 0 ? `, and ${failed} did not arrive` : ''}.`)
  }
}
