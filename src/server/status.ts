// /debug/status and /debug/workflow: who this is, what runs now, how the last ones ended, which step stands where.
import { identity } from '../kernel/identity.ts'
import type { Task } from '../kernel/task.ts'
import { VERSION } from '../kernel/version.ts'
import { rootOf, traceIdOf, viewRun } from '../middleware/recent/runs.ts'
import type { Desk, Route } from './route.ts'
import { isDraining } from './sources.ts'

const MAX_RUNNING = 500

export function status({ sources, writer }: Desk): Route {
  const { telemetry, sdk } = sources
  return {
    answer() {
      const { version, ...worker } = identity()
      const inside = byRoot(telemetry.recent.running())
      const running = [...telemetry.running]
      return writer.json({
        ...{ worker, version, taskspan: VERSION, uptime_s: Math.round(process.uptime()), pid: process.pid },
        draining: isDraining(sources),
        running_total: running.length,
        running: running.slice(0, MAX_RUNNING).map((task) => viewTask(task, inside.get(task) ?? [])),
        last_outcomes: telemetry.recent.lastOutcomes(),
        sdk: sdk?.status(),
      })
    },
  }
}

export function workflow({ sources, writer }: Desk): Route {
  return { answer: () => writer.json({ runs: sources.telemetry.recent.pipelineRuns() }) }
}

/** Pipelines and steps by the task that they stand in. */
function byRoot(live: ReadonlySet<Task>): Map<Task, Task[]> {
  const found = new Map<Task, Task[]>()
  for (const task of live) {
    const root = rootOf(task)
    if (root === undefined) continue
    const members = found.get(root)
    if (members === undefined) found.set(root, [task])
    else members.push(task)
  }
  return found
}

function viewTask(task: Task, inside: readonly Task[]): object {
  const pipeline = inside.find(({ kind }) => kind === 'pipeline')
  const run = pipeline && viewRun(pipeline)
  const steps = inside.filter(({ kind }) => kind === 'step')
  return {
    ...{ task: task.name, queue: task.queue, id: task.id, attempt: task.attempt, max_attempts: task.maxAttempts },
    ...{ elapsed_ms: elapsed(task), trace_id: traceIdOf(task) },
    ...(run && {
      ...{ pipeline: run.pipeline, run_id: run.run_id },
      progress: { completed: run.steps_completed, total: run.steps_total },
      steps: steps.map((step) => ({ step: step.name, attempt: step.attempt, elapsed_ms: elapsed(step) })),
    }),
  }
}

function elapsed(task: Task): number {
  return Math.round(performance.now() - task.clock)
}
