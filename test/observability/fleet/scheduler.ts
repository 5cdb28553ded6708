// A cron runner whose runs overlap once, and of which one is missed because the event loop is blocked.
import { Cron } from 'croner'
import { cron } from 'taskspan/cron'
import { watch } from 'taskspan/watch'
import { did, member, on, sleep } from './member.ts'

const { t, open } = member('scheduler')
const tick = cron(t)
let runs = 0
let running = 0
let last: number

/** Of croner's own clock: this run may be a second late, and must not be taken for the next one. */
async function cleanup(job: Cron): Promise<void> {
  const second = Math.floor(Number(job.currentRun()) / 1_000)
  if (second - last > 1) did('cleanup missed', second - last - 1)
  last = second
  if (running > 0) did('cleanup overlapped')
  running++
  await sleep(++runs === 3 ? 1_400 : 20)
  running--
  did('cleanup success')
}

on('go', async () => {
  await sleep(1_300 - (Date.now() % 1_000)) // no second begins between the schedule's beginning and the runner's
  last = Math.floor(Date.now() / 1_000)
  new Cron('* * * * * *', tick('cleanup', cleanup))
  // From within a second until late in the next but one.
  await sleep(6_300 - (Date.now() % 1_000))
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_400)
})
await open(watch({ telemetry: t, intervalMs: 500 }))
