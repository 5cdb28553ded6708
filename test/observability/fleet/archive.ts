// A worker that takes one task and never ends it: it is there to be killed.
import { Worker } from 'bullmq'
import { bullmq } from 'taskspan/bullmq'
import { member, tell } from './member.ts'

const { place, t, open } = member('archive')
const instrument = bullmq(t)
const take = (): Promise<never> => {
  tell({ taken: true })
  return new Promise(() => {})
}
new Worker('archive', instrument(take), {
  ...{ connection: place.redis, prefix: place.prefix, lockDuration: 1_000, skipStalledCheck: true },
})
await open()
