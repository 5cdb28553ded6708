// OTLP: the SDK's own exporter of spans or log lines, watched, and let go of in the end.
import type { Agent } from 'node:http'
import { type Context, context, createContextKey } from '@opentelemetry/api'
import { fault } from '../kernel/faults.ts'
import type { DestinationStatus } from './face.ts'
import { cancelling } from './grpc-calls.ts'
import type { Problems } from './problems.ts'
import { type Exporter, type ExportResult, endpoint, exporter as makeExporter, type Signal } from './protocol.ts'

/** What is known of things on their way. */
export interface Delivery {
  status(): DestinationStatus
  /** Resolves when nothing is on its way any more, with whether all of it arrived. Never rejects. */
  settled(): Promise<boolean>
  /** Gives up what is on its way. */
  release(): void
}

export interface Otlp<Item> extends Delivery {
  readonly exporter: Required<Exporter<Item>>
  /** One was given up, for so many wait already. */
  overflow(waiting: number): void
}

// Not the SDK's own key for what is not to be traced: a watch's polls are not, and their lines are to be sent.
const SENDING = createContextKey('taskspan sending')

/** Whether this is an exporter at work. */
export const isSending = (active: Context): boolean => active.getValue(SENDING) === true

// ExportResultCode, of a package that is not ours to import.
const SUCCESS = 0
const FAILED = 1

const WORDS: Readonly<Record<Signal, string>> = { traces: 'spans', logs: 'log lines' }

/** @throws when no exporter is installed */
export function otlp<Item>(signal: Signal, problems: Problems): Otlp<Item> {
  const agents = new Set<Agent>()
  const openAgent = async (protocol: string): Promise<Agent> => {
    const agent = await agentFor(protocol)
    agents.add(agent)
    if (released) close(agent) // it was asked for at the end, and comes after it
    return agent
  }
  const http = hasCertificates(signal) ? {} : { httpAgentOptions: openAgent }
  const exporter = makeExporter<Item>(signal, http, problems)
  const cancelCalls = cancelling(exporter)
  const target = endpoint(signal)
  const inFlight = new Set<Promise<boolean>>()
  let delivered = 0
  let failed = 0
  let refused = 0
  let lastError: string | undefined
  let released = false

  const watched: Required<Exporter<Item>> = {
    export(items, done) {
      const sent = new Promise<ExportResult>((resolve) => {
        try {
          context.with(context.active().setValue(SENDING, true), () => exporter.export(items, resolve))
        } catch (error) {
          resolve({ code: FAILED, error: error as Error })
        }
      }).then((result) => {
        if (result.code === SUCCESS) delivered += items.length
        else giveUp(items.length, result.error)
        // It is counted and said here. The processor of log lines would say it too, in a line that may be sent, and fail.
        done(signal === 'logs' ? { code: SUCCESS } : result)
        return result.code === SUCCESS
      })
      inFlight.add(sent)
      void sent.finally(() => inFlight.delete(sent))
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  }
  function giveUp(items: number, error: unknown): void {
    lastError = reason(error)
    // Said once: a backend that is down would else say it with every batch, and close() has said it already.
    if (failed > 0 || released) fault('sdk', 'export', error)
    else
      problems.add('export', `${WORDS[signal]} do not reach ${target} (${lastError}); those that fail are lost`, error)
    failed += items
  }
  return {
    exporter: watched,
    overflow(waiting) {
      refused++
      lastError = 'no room'
      problems.add('overflow', `${waiting} ${WORDS[signal]} wait for ${target}; what comes on top of them is lost`)
    },
    status: () => ({ name: 'otlp', signal, target, delivered, failed: failed + refused, lastError }),
    settled: async () => (await Promise.all(inFlight)).every(Boolean),
    release: () => {
      released = true
      for (const agent of agents) close(agent)
      cancelCalls()
    },
  }
}

function hasCertificates(signal: Signal): boolean {
  const names = new RegExp(`^OTEL_EXPORTER_OTLP_(${signal.toUpperCase()}_)?(CLIENT_)?(CERTIFICATE|KEY)$`)
  return Object.keys(process.env).some((name) => names.test(name))
}

// An agent of our own, loaded when it is needed, so that an HTTP instrumentation may still come first; and not by
// `import`, which would load what node:http exports besides (server/listen.ts).
async function agentFor(protocol: string): Promise<Agent> {
  const { Agent } = process.getBuiltinModule(protocol === 'http:' ? 'node:http' : 'node:https')
  return new Agent({ keepAlive: true })
}

// An exporter that was shut down goes on retrying for seconds and keeps the process alive. An error without a network
// code ends its retries: open requests get it now, the next attempt gets it from the agent.
function close(agent: Agent): void {
  const closed = new Error('closed')
  ;(agent as unknown as { createConnection: () => never }).createConnection = () => {
    throw closed
  }
  for (const sockets of Object.values(agent.sockets)) for (const socket of sockets ?? []) socket.destroy(closed)
  agent.destroy()
}

function reason(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  return `${code === undefined ? '' : `${code} `}${message ?? 'no reason given'}`.slice(0, 200)
}
