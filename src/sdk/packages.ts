// Optional packages: loaded when start() needs them, and named with their install command when they are missing.
import { createRequire } from 'node:module'

const own = createRequire(import.meta.url)

export class MissingPackage extends Error {
  override name = 'MissingPackage'

  constructor(name: string) {
    super(`${name} is not installed: npm install ${name}`)
  }
}

/**
 * Loads a package at once. `import()` would do as well, but `start()` must have registered everything when it returns:
 * a module that asks for a tracer in the next line would else miss its first spans.
 *
 * @param via packages through which it is found: a strict node_modules shows us only what the user installed
 * @throws {MissingPackage} when it, or one of `via`, is not installed
 */
export function load<T>(name: string, ...via: string[]): T {
  let require = own
  for (const step of via) require = createRequire(resolve(require, step))
  resolve(require, name)
  return require(name) as T
}

function resolve(require: NodeJS.Require, name: string): string {
  try {
    return require.resolve(name)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') throw new MissingPackage(name)
    throw cause
  }
}
