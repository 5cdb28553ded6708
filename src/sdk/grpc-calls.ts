// The calls of a gRPC exporter, so that those which are never answered can be given up: it keeps them to itself.
import { guard } from '../kernel/faults.ts'

interface Call {
  cancel(): void
  once(event: 'status', listener: () => void): unknown
}

interface Client {
  export(...given: unknown[]): Call
}

/** What is behind the exporter of today. A later version may keep it elsewhere. */
interface Behind {
  readonly _delegate?: { readonly _transport?: { _client?: Client | undefined; shutdown?(): void } }
}

/**
 * @returns gives up the calls on their way and closes the connection. An exporter over HTTP has none. Where nothing is found the
 * process ends when the exporter's own time-out is over.
 */
export function cancelling(exporter: object): () => void {
  const transport = (exporter as Behind)._delegate?._transport
  const calls = new Set<Call>()
  if (transport !== undefined && '_client' in transport) guard('sdk', 'grpc', () => listen(transport, calls))
  return () => {
    guard('sdk', 'cancel', () => {
      for (const call of calls) call.cancel()
      transport?.shutdown?.()
    })
  }
}

// The client is made with the first call, and again after several that were not answered.
function listen(transport: { _client?: Client | undefined }, calls: Set<Call>): void {
  let client = transport._client
  Object.defineProperty(transport, '_client', {
    get: () => client,
    set(made: Client | undefined) {
      client = made
      if (made === undefined) return
      const call = made.export.bind(made)
      made.export = (...given) => {
        const started = call(...given)
        calls.add(started)
        started.once('status', () => calls.delete(started))
        return started
      }
    },
  })
}
