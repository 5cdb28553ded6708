#!/usr/bin/env node
// `npx taskspan`: finds the command and runs it.
import { TaskspanError } from '../kernel/errors.ts'
import { VERSION } from '../kernel/version.ts'
import { USAGE, UsageError } from './usage.ts'
import { runWatch } from './watch.ts'

async function run([command, ...args]: readonly string[]): Promise<void> {
  if (command === 'watch' && args.includes('--help')) return console.log(USAGE)
  if (command === 'watch') return runWatch(args, process.env)
  if (command === 'observability') {
    // Loaded only here: watching needs none of it.
    const { runObservability } = await import('./observability.ts')
    return runObservability(args, console.log)
  }
  if (command === '--version') return console.log(VERSION)
  if (command === undefined || command === 'help' || command === '--help') return console.log(USAGE)
  throw new UsageError(`There is no command '${command}'.`)
}

run(process.argv.slice(2)).catch((error: unknown) => {
  // What a user can mend is said in a sentence; anything else with its stack.
  if (error instanceof UsageError) console.error(`${error.message}\n\n${error.usage}`)
  else console.error(error instanceof TaskspanError ? error.message : error)
  process.exit(error instanceof UsageError ? 2 : 1)
})
