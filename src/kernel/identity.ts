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

function fromEnvironment(): Identity {
  const { OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, NODE_ENV } = process.env
  const resource = new Map<string, string>()
  for (const pair of (OTEL_RESOURCE_ATTRIBUTES ?? '').split(',')) {
    const at = pair.indexOf('=')
    if (at > 0) resource.set(pair.slice(0, at).trim(), pair.slice(at + 1).trim())
  }
  const service = OTEL_SERVICE_NAME ?? resource.get('service.name') ?? 'unknown_service'
  return {
    app: service,
    worker: '',
    service,
    version: resource.get('service.version') ?? '',
    environment: resource.get('deployment.environment.name') ?? NODE_ENV ?? '',
  }
}
