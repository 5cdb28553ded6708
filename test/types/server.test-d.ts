// What the handles of start(), telemetry() and watch() are to the server.
import { start } from 'taskspan/sdk'
import { handler, serve } from 'taskspan/server'
import { telemetry } from 'taskspan/telemetry'
import { watch } from 'taskspan/watch'

const t = telemetry()
const given = { telemetry: t, sdk: start({ app: 'shop' }), watch: watch({ telemetry: t }) }
export const served = serve({ ...given, checks: { redis: async (signal) => signal.aborted }, debug: { token: 'x' } })
export const handle = handler(given)

// @ts-expect-error telemetry is needed
serve({})
// @ts-expect-error it has no address of its own
handler({ telemetry: t, port: 1 })
// @ts-expect-error a check is a function
serve({ telemetry: t, checks: { redis: 'PONG' } })
// @ts-expect-error a section is a function
serve({ telemetry: t, debug: { sections: { artifacts: [] } } })
