// One pipeline, run by two processes: its definition must be the same in both.

import type { Middleware } from 'taskspan'
import { pipeline } from 'taskspan/pipeline'

/** A diamond whose last step is `finish`. */
export function clip(ran: (step: string) => void, finish: () => Promise<string>, ...middleware: Middleware[]) {
  const told = <T>(step: string, output: T): T => {
    ran(step)
    return output
  }
  return pipeline<{ clip: number }>('clip', ...middleware)
    .step('download', ({ input }) => told('download', `${input.clip}.mp4`))
    .step('transcribe', ['download'], ({ download }) => told('transcribe', `words of ${download}`))
    .step('detect_cuts', ['download'], ({ download }) => told('detect_cuts', [download.length]))
    .step('upload', ['transcribe', 'detect_cuts'], async ({ transcribe, detect_cuts }) => {
      ran('upload')
      return `${transcribe}, ${detect_cuts.length} cut, ${await finish()}`
    })
}
