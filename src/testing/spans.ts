// Records spans in memory and shows them as a tree; registers an SDK for the time of a test.
import { context, propagation, trace } from '@opentelemetry/api'
import { NodeTracerProvider, type ReadableSpan, type SpanProcessor } from '@opentelemetry/sdk-trace-node'
import { checkOptions, TaskspanError } from '../kernel/errors.ts'
import { registeredProvider } from '../kernel/tracer.ts'
import { type WaterfallOptions, waterfall } from '../waterfall.ts'
import { Family, RecordedSpan } from './recorded-span.ts'
import { type WaitOptions, waiting } from './waiting.ts'

export { RecordedSpan }

export interface SpanRecorder extends AsyncDisposable {
  /** Ended spans in the order in which they ended. */
  readonly spans: readonly RecordedSpan[]
  /** Names of spans that have started and not ended: empty when nothing was left open. */
  readonly open: readonly string[]
  /** For a tracer provider of your own, with `register: false`. */
  readonly processor: SpanProcessor
  /** All ended spans of this name. */
  named(name: string): RecordedSpan[]
  /** The one ended span of this name; throws when there are none or several. */
  one(name: string): RecordedSpan
  /** Spans without a recorded parent, by their start; follow their `children`. */
  tree(): RecordedSpan[]
  /** The tree as text, two spaces for each level: what a test compares with. */
  outline(): string
  /** Resolves when `count` spans of this name have ended; rejects after `timeoutMs` and says what was recorded. */
  waitFor(name: string, count: number, options?: WaitOptions): Promise<RecordedSpan[]>
  waitFor(name: string): Promise<RecordedSpan>
  waterfall(options?: WaterfallOptions): string
  /** Forgets what was recorded. */
  reset(): void
  /** Unregisters what it registered. */
  close(): Promise<void>
}

export interface RecordSpansOptions {
  /** `false` registers nothing: hand `processor` to a provider of your own. Default `true`. */
  readonly register?: boolean | undefined
}

let registered: SpanRecorder | undefined

/** The recorder that is registered now, if any: `replay()` shares it. */
export function registeredRecorder(): SpanRecorder | undefined {
  return registered
}

/**
 * Records every span from now on: registers a tracer provider, an async context manager, and the propagators for W3C
 * trace context and baggage. A `start()` in the code under test then adds nothing.
 *
 * @throws {TaskspanError} `SDK_REGISTERED` when an SDK is registered already
 * @example
 * const spans = recordSpans()
 * await queue.add('render', { clip: 7 })
 * const task = await spans.waitFor('taskiq.render')
 * expect(task.parent?.name).toBe('send render')
 * await spans.close()
 */
export function recordSpans(options: RecordSpansOptions = {}): SpanRecorder {
  checkOptions('recordSpans', options, { register: 'boolean' })
  const spans: RecordedSpan[] = []
  const family = new Family()
  const started = new Map<string, string>()
  const ended = waiting<RecordedSpan>(
    () => spans,
    (span) => span.name,
  )
  const processor = memory(
    (span) => started.set(span.spanContext().spanId, span.name),
    (span) => {
      const recorded = new RecordedSpan(span, family)
      started.delete(recorded.spanId)
      spans.push(recorded)
      ended.check()
    },
  )
  const unregister = options.register === false ? () => {} : register(processor)

  const named = (name: string): RecordedSpan[] => spans.filter((span) => span.name === name)
  const tree = (): RecordedSpan[] => spans.filter((span) => span.parent === undefined).sort(byStart)
  async function close(): Promise<void> {
    if (registered === recorder) registered = undefined
    unregister()
  }
  function waitFor(name: string, count: number, options?: WaitOptions): Promise<RecordedSpan[]>
  function waitFor(name: string): Promise<RecordedSpan>
  async function waitFor(name: string, count?: number, options?: WaitOptions): Promise<RecordedSpan | RecordedSpan[]> {
    const found = await ended.until(`spans named '${name}'`, (span) => span.name === name, count ?? 1, options)
    return count === undefined ? (found[0] as RecordedSpan) : found
  }

  const recorder: SpanRecorder = {
    spans,
    get open() {
      return [...started.values()]
    },
    processor,
    named,
    one(name) {
      const [found, ...more] = named(name)
      if (found !== undefined && more.length === 0) return found
      const all = spans.map((span) => span.name).join(', ') || 'nothing'
      throw new TaskspanError(
        'NOT_RECORDED',
        `${more.length + (found ? 1 : 0)} spans named '${name}'. Recorded: ${all}.`,
      )
    },
    tree,
    outline: () =>
      tree()
        .flatMap((span) => outline(span))
        .join('\n'),
    waitFor,
    waterfall: (options) =>
      waterfall(
        spans.map((span) => span.raw),
        options,
      ),
    reset() {
      spans.length = 0
      family.clear()
      started.clear()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
  if (options.register !== false) registered = recorder
  return recorder
}

function outline(root: RecordedSpan): string[] {
  const lines: string[] = []
  const stack: [RecordedSpan, number][] = [[root, 0]]
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const [span, depth] = next
    lines.push('  '.repeat(depth) + span.name)
    for (const child of [...span.children].reverse()) stack.push([child, depth + 1])
  }
  return lines
}

function byStart(a: RecordedSpan, b: RecordedSpan): number {
  return a.startedAt - b.startedAt
}

function memory(onStart: (span: ReadableSpan) => void, onEnd: (span: ReadableSpan) => void): SpanProcessor {
  return { onStart, onEnd, forceFlush: async () => {}, shutdown: async () => {} }
}

// One provider for the whole process: a tracer that the code under test keeps in a variable stays with the first
// provider that it meets, also after another was registered.
let provider: NodeTracerProvider | undefined
let current: SpanProcessor | undefined

function register(processor: SpanProcessor): () => void {
  if (registeredProvider() !== undefined) {
    throw new TaskspanError('SDK_REGISTERED', 'recordSpans: an OpenTelemetry SDK is registered already.')
  }
  const dispatch = memory(
    (span) => current?.onStart(span as Parameters<SpanProcessor['onStart']>[0], context.active()),
    (span) => current?.onEnd(span),
  )
  provider ??= new NodeTracerProvider({ spanProcessors: [dispatch] })
  provider.register()
  current = processor
  return () => {
    if (current === processor) current = undefined
    // Only what is still ours: a test may have put another SDK in its place.
    if (registeredProvider() !== provider) return
    trace.disable()
    context.disable()
    propagation.disable()
  }
}
