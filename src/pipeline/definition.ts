// What stands around the steps of a pipeline, as its builder has put it together.
import type { Middleware } from '../kernel/task.ts'
import type { StandardSchema } from './input.ts'
import type { PipelineOptions } from './options.ts'

export interface Definition {
  readonly name: string
  readonly onion: Middleware
  readonly schema: StandardSchema | undefined
  readonly options: PipelineOptions
}
