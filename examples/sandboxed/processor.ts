// What the child runs, in a process of its own: one line around the handler, and nothing else to set up.
import type { SandboxedJob } from 'bullmq'
import { log } from 'taskspan/logging'
import { sandboxed } from 'taskspan/processes'
import { ext } from 'taskspan/spans'

export default sandboxed(async (job: SandboxedJob<{ clip: number }>) => {
  const clip_id = String(job.data.clip)
  await ext('codec', 'decode', { clip_id }, () => new Promise((resolve) => setTimeout(resolve, 20)))
  log().info({ clip_id }, 'decoded') // written by the parent's logger
  if (job.data.clip === 43 && job.attemptsMade === 0) process.kill(process.pid, 'SIGKILL') // as the kernel's OOM killer does
  return `rendered clip ${job.data.clip}`
})
