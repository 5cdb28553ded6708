// One import in one fresh process: tells what it cost. A second answer would say nothing: it is loaded by then.
//   node contender.mjs <peers|ours|kernel>
import { answering, cpuOf } from '../rounds.mjs'

const PACKAGES = {
  peers: ['@opentelemetry/api', 'prom-client', 'pino'],
  ours: ['taskspan', 'taskspan/telemetry'],
  kernel: ['taskspan'],
}

const packages = PACKAGES[process.argv[2]]

answering(async ({ warmUp }) => {
  if (warmUp) return {}
  const cost = await cpuOf(async () => {
    for (const name of packages) await import(name)
  })
  return { cost }
})
