// Says in one line how many tests the last `npm test` ran, as its JSON report has it; fails unless all of them passed.
import { existsSync, readFileSync } from 'node:fs'

interface Report {
  success: boolean
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  numTodoTests: number
  testResults: { name: string; status: string; assertionResults: unknown[] }[]
}

const file = '.cache/tests.json'

if (existsSync(file)) {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report
  const { numPassedTests: passed, numFailedTests: failed } = report
  const skipped = report.numPendingTests + report.numTodoTests
  const unread = report.testResults.filter(
    (result) => result.status === 'failed' && result.assertionResults.length === 0,
  )
  for (const { name } of unread) console.log(`could not run: ${name}`)
  if (skipped > 0) console.log(`${skipped} skipped`)
  console.log(`${passed} passed, ${failed} failed`)
  if (!report.success || passed === 0) process.exitCode = 1
} else {
  console.log('the tests did not get as far as a report')
  console.log('0 passed, 0 failed')
  process.exitCode = 1
}
