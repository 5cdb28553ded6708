// Pipelines: typed graphs of steps that run at once, explain themselves and resume. A table of contents.
export { pipeline } from './builder.ts'
export type { Checkpoint } from './checkpoint.ts'
export { PipelineError, type StepFailure, StepTimeoutError } from './errors.ts'
export type { FinalContext, Named, Pipeline, PipelineRun, StepContext, StepData } from './face.ts'
export type { StandardSchema } from './input.ts'
export type {
  Backoff,
  FinalOptions,
  PipelineOptions,
  RunOptions,
  SkipFunction,
  SkipReason,
  StepOptions,
} from './options.ts'
export type { Progress } from './progress.ts'
export type { PipelineReport, StepReport, StepStatus } from './report.ts'
export type { NewId } from './step-id.ts'
export {
  type TracedPipeline,
  type TracedStep,
  type TracePipelineOptions,
  type TraceStepOptions,
  tracePipeline,
  traceStep,
} from './trace.ts'
