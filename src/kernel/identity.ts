// Who this process is: app, worker, service, version, environment. Set by start(), read by metrics and logs.
import { shared } from './shared.ts'

export interface Identity {
  readonly app: string
  readonly worker: string
  /** `<app>-<worker>`. */
  readonly service: string
  readonly version: string
  readonly environment: string
}

/** Told by `start()`; the last one wins, since a process is one worker. */
export function setIdentity(identity: Identity): void {
  shared.identity = identity
}

/** What `start()` said, else what the standard `OTEL_*` variables say. */
export function identity(): Identity {
  return shared.identity ?? fromEnvironment()
}

/** Whether `start()` has said who this is. */
export function isIdentified(): boolean {
  return shared.identity !== undefined
}

// An empty variable is one that is not set.
function fromEnvironment(): Identity {
  const { OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, NODE_ENV } = process.env
  const given = resourceAttributes(OTEL_RESOURCE_ATTRIBUTES ?? '')
  const service = OTEL_SERVICE_NAME || given['service.name'] || 'unknown_service'
  return {
    app: service,
    worker: '',
    service,
    version: given['service.version'] ?? '',
    environment: given['deployment.environment.name'] ?? NODE_ENV ?? '',
  }
}

/** `key=value,key=value`, percent-encoded; a broken pair is left out. */
export function resourceAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = {}
  for (const pair of text.split(',')) {
    const at = pair.indexOf('=')
    if (at < 1) continue
    try {
      attributes[decodeURIComponent(pair.slice(0, at).trim())] = decodeURIComponent(pair.slice(at + 1).trim())
    } catch {
      // not percent-encoded as it should be
    }
  }
  return attributes
}
