// Puts the SDK together and registers it: resource, destinations, context, propagators.
import type { Resource } from '@opentelemetry/resources'
import type { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { type Destination, destinations } from './exporters.ts'
import { keptProcessor } from './kept.ts'
import { load } from './packages.ts'
import type { Problems } from './problems.ts'
import { propagator } from './propagators.ts'

type SdkPackage = typeof import('@opentelemetry/sdk-trace-node')
type ResourcesPackage = typeof import('@opentelemetry/resources')

export interface Registered {
  readonly provider: NodeTracerProvider
  readonly resource: Resource
  readonly destinations: readonly Destination[]
}

/** @throws when there is no SDK to register */
export function register(attributes: Readonly<Record<string, string>>, problems: Problems): Registered {
  const sdk = load<SdkPackage>(SDK)
  const { defaultResource, resourceFromAttributes } = load<ResourcesPackage>('@opentelemetry/resources', SDK, BASE)
  const to = destinations(sdk, problems)
  const resource = defaultResource().merge(resourceFromAttributes(attributes))
  // Sampler (OTEL_TRACES_SAMPLER) and span limits the SDK reads from the environment itself.
  const provider = new sdk.NodeTracerProvider({
    resource,
    spanProcessors: [...to.map(({ processor }) => processor), keptProcessor()],
  })
  const chosen = propagator(problems)
  provider.register(chosen === undefined ? {} : { propagator: chosen })
  return { provider, resource, destinations: to }
}

const SDK = '@opentelemetry/sdk-trace-node'
const BASE = '@opentelemetry/sdk-trace-base'
