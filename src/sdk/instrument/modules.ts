// Puts the instrumentations before the ES modules that they are for, and before no other.
import * as nodeModule from 'node:module'
import { pathToFileURL } from 'node:url'
import type { Problems } from '../problems.ts'
import { instrumented } from './index.ts'

interface InThread {
  register(options: { include: readonly string[] }): void
  supportsSyncHooks(): boolean
}

/** Never throws. */
export function interceptImports(problems: Problems): void {
  const { packages, libraries } = instrumented()
  if (libraries.length === 0) return
  try {
    // As the instrumentations themselves find it: it is the same package that they tell of what they want to see.
    const own = nodeModule.createRequire(import.meta.url)
    const loaders = packages.map((name) => nodeModule.createRequire(own.resolve(name)).resolve(LOADER))
    for (const loader of new Set(loaders)) intercept(loader, libraries)
  } catch (error) {
    problems.add(
      'register',
      `ES modules are not instrumented: ${error instanceof Error ? error.message : error}`,
      error,
    )
  }
}

const LOADER = '@opentelemetry/instrumentation/hook.mjs'

function intercept(loader: string, include: readonly string[]): void {
  const inThread = 'registerHooks' in nodeModule ? inThreadOf(loader) : undefined
  if (inThread?.supportsSyncHooks()) inThread.register({ include })
  else nodeModule.register(pathToFileURL(loader), { data: { include: [...include] } })
}

// Newer versions of Node need no second thread for it, and will do away with the one that they had.
function inThreadOf(loader: string): InThread | undefined {
  try {
    return nodeModule.createRequire(loader)('import-in-the-middle/register-hooks.mjs') as InThread
  } catch {
    return undefined
  }
}
