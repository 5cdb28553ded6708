// Everybody who is tried, by name.
import type { ContenderName } from '../fault.ts'
import { bullmqOtel } from './bullmq-otel.ts'
import { careless } from './careless.ts'
import type { Contender } from './contender.ts'
import { instrumentationAmqplib } from './instrumentation-amqplib.ts'
import { taskspan } from './taskspan.ts'

export const CONTENDERS: Readonly<Record<ContenderName, Contender>> = {
  taskspan,
  'bullmq-otel': bullmqOtel,
  'instrumentation-amqplib': instrumentationAmqplib,
  careless,
}
