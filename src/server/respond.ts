// One request from its arrival to its answer, unseen by tracing and logging, and never throwing.
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createContextKey, ROOT_CONTEXT, type Span, SpanKind, TraceFlags, trace } from '@opentelemetry/api'
import { fault, guard } from '../kernel/faults.ts'
import { NO_TASK, runInScope } from '../kernel/scope.ts'
import { admit, type Gate } from './access.ts'
import { type Answer, errorBody, Refusal } from './answer.ts'
import { type Asked, type Desk, invalid } from './route.ts'
import type { Routes } from './routes.ts'

const MAX_BODY = 1_024
const LIMIT_MS = 30_000

// The key by which OpenTelemetry's SDK knows that nothing is to be traced; equal names make equal keys.
const SUPPRESS = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING')
const UNTRACED = ROOT_CONTEXT.setValue(SUPPRESS, true)

/** @param next called for a path that is not ours; without it that is a 404 */
export function respond(
  desk: Desk,
  routes: Routes,
  gate: Gate,
  request: IncomingMessage,
  response: ServerResponse,
  next?: () => void,
): void {
  const path = /^\/[^?#]*/.exec(request.url ?? '')?.[0]
  const found = path === undefined ? undefined : routes.find(path)
  if (found === undefined && next !== undefined) return next()

  forget(trace.getActiveSpan())
  const gone = new AbortController()
  // A client that reads nothing, or a source that never answers, holds nothing for ever.
  let limit = setTimeout(() => response.destroy(), LIMIT_MS)
  response.once('close', () => {
    clearTimeout(limit)
    gone.abort()
  })
  response.on('error', () => {}) // the client has gone: there is nobody to be told

  const run = async (): Promise<void> => {
    if (path === undefined) throw invalid('The target of a request must be a path.')
    if ((request.headersDistinct.host?.length ?? 0) > 1) throw invalid('A request has one Host header.')
    if (found === undefined) {
      if (path === '/debug' || path.startsWith('/debug/')) admit(request, desk.settings.debug, gate, false)
      throw new Refusal(404, 'not_found', 'There is nothing at this path.', PATHS)
    }
    const isWrite = found.route.isWrite === true
    allow(request, isWrite)
    if (found.isDebug) admit(request, desk.settings.debug, gate, isWrite)
    const answer = await found.route.answer(asked(request, found.rest, gone.signal))
    if ('run' in answer) {
      clearTimeout(limit)
      limit = setTimeout(() => response.destroy(), answer.withinMs)
      await answer.run(response)
    } else {
      send(request, response, answer)
    }
  }
  // Nothing of ours is traced, and neither is what a check or a section calls.
  runInScope(NO_TASK, run, UNTRACED).catch((error: unknown) => {
    if (response.headersSent) return response.destroy()
    if (!(error instanceof Refusal)) fault('server', 'answer', error)
    const refusal = error instanceof Refusal ? error : INTERNAL
    const body = errorBody(refusal, requestIdOf(request), traceIdOf(request))
    send(request, response, { ...desk.writer.json(body, refusal.status), headers: refusal.headers })
  })
}

// In a server of the user's an HTTP instrumentation has begun a span before it is known whose path this is. What is not
// sampled is sent by no SDK.
function forget(span: Span | undefined): void {
  if ((span as { readonly kind?: unknown } | undefined)?.kind !== SpanKind.SERVER) return
  guard('server', 'span', () => {
    const own = span?.spanContext()
    if (own !== undefined) own.traceFlags &= ~TraceFlags.SAMPLED
  })
}

const PATHS = 'There are /metrics, /health, /ready, and /debug/… where it is enabled.'
const INTERNAL = new Refusal(500, 'internal', 'The answer could not be made.', 'It is counted as a fault of telemetry.')

function allow({ method = '' }: IncomingMessage, isWrite: boolean): void {
  if (isWrite ? method === 'POST' : method === 'GET' || method === 'HEAD') return
  const allowed = isWrite ? 'POST' : 'GET, HEAD'
  const message = `This path takes ${allowed}.`
  throw new Refusal(405, 'method_not_allowed', message, `Send ${allowed}.`, {}, { allow: allowed })
}

function asked(request: IncomingMessage, rest: string, signal: AbortSignal): Asked {
  const url = request.url ?? ''
  const at = url.indexOf('?')
  return {
    query: new URLSearchParams(at < 0 ? '' : url.slice(at + 1)),
    accept: request.headers.accept ?? '',
    rest,
    json: () => jsonOf(request),
    signal,
  }
}

async function jsonOf(request: IncomingMessage): Promise<unknown> {
  // A body parser of the user's server may have read it before us.
  const parsed = (request as { readonly body?: unknown }).body
  if (typeof parsed === 'object' && parsed !== null) return parsed
  let size = 0
  const parts: Buffer[] = []
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length
    if (size > MAX_BODY) throw new Refusal(413, 'too_large', `The body is larger than ${MAX_BODY} bytes.`, 'Send less.')
    parts.push(part)
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString())
  } catch {
    throw invalid('The body must be a JSON object.')
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, contentType, body, headers }: Answer,
): void {
  if (response.destroyed) return
  // What is left of a body is not read: the connection ends with this answer.
  const hasBody =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(hasBody && !request.complete && { connection: 'close' }),
    ...headers,
  })
  response.end(body)
}

function requestIdOf({ headers }: IncomingMessage): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID()
}

/** Of the caller: these paths have no trace of their own. */
function traceIdOf({ headers }: IncomingMessage): string | null {
  return /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(String(headers.traceparent ?? ''))?.[1] ?? null
}
