// The pipeline of the fleet: its steps succeed, fail, are retried, time out, are skipped and are restored.
import { type Checkpoint, pipeline } from 'taskspan/pipeline'
import type { Telemetry } from 'taskspan/telemetry'
import { did, sleep } from './member.ts'

type Analysis = (n: number, id: string) => Promise<void>

let made: Analysis | undefined

/** Rejects for every sixth clip at its first attempt, and for every eighth at all of them. */
export async function analyse(t: Telemetry, n: number, id: string): Promise<void> {
  made ??= analysis(t)
  await made(n, id)
}

function analysis(t: Telemetry): Analysis {
  const attempts = new Map<number, number>()
  const built = pipeline<{ n: number }>('analysis', t)
    .step('download', async ({ input: { n } }) => {
      await sleep(10)
      did('step download success')
      return n
    })
    .step('transcribe', ['download'], ({ download, attempt }) => transcribe(download, attempt), {
      retries: 1,
      backoff: { initialMs: 10 },
    })
    .step('detect_faces', ['download'], ({ download }) => detectFaces(download), { timeoutMs: 100 })
    .step('blur_faces', ['download'], () => 'blurred', { skip: () => 'no faces', optional: true })
    .step('render', ['transcribe', 'detect_faces', 'blur_faces'], ({ transcribe }) => {
      // Once: the next attempt of the task restores the steps before, and renders.
      const attempt = (attempts.get(transcribe) ?? 0) + 1
      attempts.set(transcribe, attempt)
      if (transcribe % 6 === 1 && attempt === 1) {
        did('step render failure')
        throw new TypeError('out of memory')
      }
      did('step render success')
      return transcribe
    })

  return async (n, id) => {
    const ran = built.run({ n }, { id, checkpoint })
    await ran.then(
      () => did('pipeline success'),
      (error) => {
        did('pipeline failure')
        throw error
      },
    )
  }
}

async function transcribe(n: number, attempt: number): Promise<number> {
  await sleep(20 + (n % 5) * 10)
  if (n % 4 === 0 && attempt === 1) {
    did('step transcribe retry')
    throw new RangeError('no GPU')
  }
  did('step transcribe success')
  return n
}

async function detectFaces(n: number): Promise<void> {
  if (n % 8 === 5) {
    did('step detect_faces timeout')
    return new Promise(() => {})
  }
  await sleep(15)
  did('step detect_faces success')
}

const finished = new Map<string, Record<string, string>>()
const checkpoint: Checkpoint = {
  load: async (run) => finished.get(run),
  async save(run, step, record) {
    finished.set(run, { ...finished.get(run), [step]: record })
  },
}
