// The analysis of a clip: a graph of steps that resumes where a failed attempt of its task has left it.
import { setTimeout as work } from 'node:timers/promises'
import { type Checkpoint, type PipelineReport, pipeline } from 'taskspan/pipeline'
import type { Telemetry } from 'taskspan/telemetry'
import type { Clip } from './api.ts'

/** Runs the analysis that a task asked for; a further attempt of the task does only what is left. */
export type Analyse = (clip: Clip, taskId: string) => Promise<PipelineReport>

export function startAnalysis(t: Telemetry): Analyse {
  let renders = 0

  const analysis = pipeline<Clip>('analysis', t)
    .step('download', async ({ input: { clip } }) => work(60, `clip-${clip}.mp4`))
    // These two need the same, and run side by side.
    .step('transcribe', ['download'], async ({ download }) => work(180, `words of ${download}`))
    .step('detect_faces', ['download'], ({ attempt }) => detectFaces(attempt), {
      retries: 2,
      backoff: { initialMs: 30 },
    })
    // Optional: when it is skipped, `render` runs all the same.
    .step('blur_faces', ['detect_faces'], ({ detect_faces }) => work(20 * detect_faces.length, 'blurred'), {
      skip: ({ detect_faces }) => detect_faces.length === 0 && 'no faces',
      optional: true,
    })
    .step('render', ['transcribe', 'blur_faces'], async ({ transcribe, blur_faces = 'as it was' }) => {
      await work(80)
      // The first time, the encoder takes the attempt down with it.
      if (renders++ === 0) throw new EncoderCrash('ffmpeg was killed, out of memory')
      return `${transcribe}, ${blur_faces}`
    })
    .step('upload', ['render'], async ({ render }) => work(50, render.length))

  return async (clip, taskId) => {
    const run = analysis.run(clip, { id: taskId, checkpoint })
    await run
    return run.report()
  }
}

async function detectFaces(attempt: number): Promise<string[]> {
  await work(50)
  if (attempt === 1) throw new ServiceBusy('vision has no GPU free')
  return []
}

// In memory, this survives a failed attempt, but not the process: a worker keeps it where the next worker finds it.
const finished = new Map<string, Record<string, string>>()
const checkpoint: Checkpoint = {
  load: async (run) => finished.get(run),
  async save(run, step, record) {
    finished.set(run, { ...finished.get(run), [step]: record })
  },
}

class ServiceBusy extends Error {
  override name = 'ServiceBusy'
}

class EncoderCrash extends Error {
  override name = 'EncoderCrash'
}
