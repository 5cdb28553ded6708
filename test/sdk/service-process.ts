// One of four processes of one system: an API, a worker for clips, a worker for mail, a scheduler.
import { Queue, Worker } from 'bullmq'
import { bullmq, inject, propagation } from 'taskspan/bullmq'
import { type Closable, start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'

const { role, connection, prefix } = JSON.parse(String(process.argv[2]))

const sdk = start({ worker: role })
const instrument = bullmq(telemetry())
await sdk.ready()

const worker = (queue: string): Closable =>
  new Worker(
    queue,
    instrument(async () => {}),
    { connection, prefix },
  )

async function send(to: string, name: string, options: object): Promise<Closable> {
  const queue = new Queue(to, { connection, prefix, telemetry: propagation() })
  await queue.add(name, {}, options)
  return queue
}

const roles: Readonly<Record<string, () => Closable | Promise<Closable>>> = {
  render: () => worker('render'),
  mail: () => worker('mail'),
  api: () => send('render', 'render_clip', {}),
  scheduler: () => send('mail', 'mail_owner', inject({}, { schedule: 'nightly' })),
}
const opened = await roles[role]?.()
sdk.closeOnSignal({ workers: opened === undefined ? [] : [opened] })
// Only now a signal is heard: what it has sent may long have been worked off by the others.
console.log(JSON.stringify({ message: 'ready' }))
