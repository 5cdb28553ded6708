// The stack where `taskspan observability` puts it: nothing leads out of the folder, and no link into nothing.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { promtool } from '../../scripts/prometheus/index.ts'
import { runObservability } from '../../src/cli/observability.ts'
import { ROOT } from '../support/staged.ts'
import { stack } from './stack-files.ts'

const run = promisify(execFile)

describe('where the command puts it', () => {
  async function written(): Promise<string> {
    const directory = mkdtempSync(join(tmpdir(), 'taskspan-ops-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const out = join(directory, 'ops')
    await runObservability(['--out', out], () => {})
    return out
  }

  it('the folder works by itself', async () => {
    const out = await written()
    const outside = Object.values(stack.services)
      .flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(':')[0] ?? ''))
      .filter((from) => from.startsWith('.') && !existsSync(join(out, from)))
    expect(outside).toEqual([])
    await run(await promtool(), ['check', 'config', join(out, 'prometheus/prometheus.yml')])
  })

  it('every link of its pages leads to a file, there as here', async () => {
    for (const directory of [await written(), join(ROOT, 'observability')]) {
      const broken = markdown(directory).flatMap((file) => {
        const links = [...readFileSync(file, 'utf8').matchAll(/\]\(([^)\s#]+)[^)\s]*\)/g)].map(([, link = '']) => link)
        const local = links.filter((link) => !/^[a-z]+:/.test(link))
        return local.filter((link) => !existsSync(resolve(dirname(file), link))).map((link) => `${file}: ${link}`)
      })
      expect(broken).toEqual([])
    }
  })
})

function markdown(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.md')).map((name) => join(directory, name))
}
