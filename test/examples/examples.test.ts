// Every numbered example runs, ends by itself with 0, and prints what its first lines promise.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newVhostUrl } from '../support/rabbitmq.ts'
import { redisUrl } from '../support/redis.ts'

const root = join(import.meta.dirname, '../..')
const names = readdirSync(join(root, 'examples')).filter((name) => /^\d\d-.+\.ts$/.test(name))

// Each takes 2 s alone. The limit is for one that hangs, not for a machine that is busy.
const limit = 60_000

interface Ended {
  code: number | string | null
  /** stdout and stderr: waterfalls go to stderr, so that log lines can be piped. */
  output: string
}

function run(name: string, env: Record<string, string>): Promise<Ended> {
  const options = { cwd: root, timeout: limit, env: { ...plainEnvironment(), ...env } }
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import', 'tsx', `examples/${name}`], options, (error, stdout, stderr) => {
      // A process that was killed for its time has no code.
      resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? null), output: `${stdout}\n${stderr}` })
    })
  })
}

// As in a terminal of a user: without what this test run, or the machine's owner, has set.
function plainEnvironment(): Record<string, string | undefined> {
  const foreign = /^(VITEST|OTEL_|TASKSPAN_|LOG_LEVEL|NODE_ENV|FORCE_COLOR|REDIS_URL|AMQP_URL)/
  return { ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !foreign.test(key))), NO_COLOR: '1' }
}

function sourceOf(name: string): string {
  return readFileSync(join(root, 'examples', name), 'utf8')
}

const promises = (name: string) => [...sourceOf(name).matchAll(/^\/\/ prints: (.+)$/gm)].map(([, text]) => String(text))

describe.concurrent('an example runs, ends with 0 and prints what it promises', { timeout: limit + 30_000 }, () => {
  it.each(names)('%s', async (name) => {
    const wanted = promises(name)
    expect(wanted, 'a line `// prints: <regular expression>` below its first').not.toEqual([])
    const amqp = sourceOf(name).includes('AMQP_URL') ? { AMQP_URL: await newVhostUrl() } : {}
    const { code, output } = await run(name, { REDIS_URL: redisUrl(), ...amqp })
    expect(code, output).toBe(0)
    for (const text of wanted) expect(output).toMatch(new RegExp(text, 'm'))
  })

  it('where no Redis answers, it says what to do', async () => {
    const { code, output } = await run('01-bullmq.ts', { REDIS_URL: 'redis://127.0.0.1:1' })
    expect(code).toBe(1)
    expect(output).toContain('No Redis answers at 127.0.0.1:1.\nStart one (docker run')
  })
})

it('each example stands in the README with one line, and is short', () => {
  const readme = readFileSync(join(root, 'examples/README.md'), 'utf8')
  for (const name of names) {
    expect(readme.split('\n').filter((line) => line.includes(`](${name})`))).toHaveLength(1)
    expect(sourceOf(name).split('\n').length, name).toBeLessThanOrEqual(80)
  }
})
