// Who this process is: its resource attributes, and the same facts for metrics and log lines.
import { randomUUID } from 'node:crypto'
import { type Identity, resourceAttributes } from '../kernel/identity.ts'
import { env } from './environment.ts'
import type { StartOptions } from './face.ts'

export interface Who {
  readonly identity: Identity
  readonly attributes: Readonly<Record<string, string>>
}

/** What the code says wins over the environment; of several processes with one `.env` each is told apart by its worker. */
export function identify(options: StartOptions): Who {
  const given = resourceAttributes(env('OTEL_RESOURCE_ATTRIBUTES') ?? '')
  const app = options.app ?? env('TASKSPAN_APP') ?? env('OTEL_SERVICE_NAME') ?? given['service.name']
  const worker = options.worker ?? env('TASKSPAN_WORKER')
  const service = [app, worker].filter((part) => part !== undefined).join('-')
  const version = options.version ?? given['service.version']
  const environment = options.environment ?? given['deployment.environment.name'] ?? env('NODE_ENV')
  return {
    identity: {
      app: app ?? '',
      worker: worker ?? '',
      service: service || 'unknown_service',
      version: version ?? '',
      environment: environment ?? '',
    },
    attributes: {
      'service.instance.id': randomUUID(),
      ...given,
      ...(service !== '' && { 'service.name': service }),
      ...(version !== undefined && { 'service.version': version }),
      ...(environment !== undefined && { 'deployment.environment.name': environment }),
    },
  }
}
