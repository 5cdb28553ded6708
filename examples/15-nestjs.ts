// NestJS: the `process` of a WorkerHost, instrumented. Run: npx tsx examples/15-nestjs.ts
// prints: taskiq_tasks_total\{queue="render-nest",task_name="render_clip".*outcome="success"\} 1
import 'reflect-metadata'
import { once } from 'node:events'
import { BullModule, getQueueToken, Processor, WorkerHost } from '@nestjs/bullmq'
import { NestFactory } from '@nestjs/core'
import type { Job, Queue } from 'bullmq'
import { Registry } from 'prom-client'
import { bullmq, propagation } from 'taskspan/bullmq'
import { render } from 'taskspan/metrics'
import { telemetry } from 'taskspan/telemetry'

const registry = new Registry()
const t = telemetry({ registry })
const instrument = bullmq(t)

@Processor('render-nest')
class RenderProcessor extends WorkerHost {
  override process = instrument(async (job: Job<{ clip: number }>) => `rendered clip ${job.data.clip}`)

  // Nest calls it once the worker exists.
  onApplicationBootstrap(): void {
    instrument.observe(this.worker)
  }
}

const connection = { url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' }
const app = await NestFactory.createApplicationContext(
  {
    module: class App {},
    imports: [
      BullModule.forRoot({ connection, telemetry: propagation(t) }),
      BullModule.registerQueue({ name: 'render-nest' }),
    ],
    providers: [RenderProcessor],
  },
  { logger: ['error'] },
)

const queue = app.get<Queue>(getQueueToken('render-nest'))
const done = once(app.get(RenderProcessor).worker, 'completed')
await queue.add('render_clip', { clip: 42 })
await done
await app.close()

const { body } = await render(registry)
console.log(body.split('\n').find((line) => line.startsWith('taskiq_tasks_total{')))
