// taskspan: spans alone, or spans, metrics and log lines. Runs the build in dist: `npm run build` first.
import { Registry } from 'prom-client'
import { logger } from 'taskspan/logging'
import { pipeline } from 'taskspan/pipeline'
import { telemetry } from 'taskspan/telemetry'
import { tracing } from 'taskspan/tracing'

export async function prepare(steps, { everything }) {
  // Lines are made in full and thrown away, as the spans are. At level info, as by default.
  const nowhere = { write() {} }
  const middleware = everything
    ? telemetry({ registry: new Registry(), logger: logger({ level: 'info' }, nowhere) })
    : tracing()
  const definition = pipeline('bench', middleware).steps(
    steps.map(({ id, needs }, at) => ({
      id,
      after: needs.map((need) => steps[need].id),
      run: async ({ input }) => input + at,
    })),
  )
  return () => definition.run(1)
}
