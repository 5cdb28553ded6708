// How the tests run: the package under its public names, in processes, two files at a time.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

interface Manifest {
  name: string
  exports: Record<string, string | { default: string }>
}

const manifest = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as Manifest

// `taskspan/bullmq` in a test is the source behind `exports["./bullmq"]`: dist/adapters/bullmq.js -> src/….ts
const alias = Object.entries(manifest.exports).flatMap(([subpath, target]) => {
  if (typeof target === 'string') return []
  const source = target.default.replace('./dist/', './src/').replace(/\.js$/, '.ts')
  const name = subpath === '.' ? manifest.name : manifest.name + subpath.slice(1)
  return [{ find: new RegExp(`^${name}$`), replacement: fileURLToPath(new URL(source, import.meta.url)) }]
})

export default defineConfig({
  resolve: { alias },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Polls wait for an event, which on a busy machine may be late; only what never comes takes this long.
    expect: { poll: { timeout: 15_000 } },
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary'],
    },
  },
})
