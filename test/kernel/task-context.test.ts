// The context that a task starts from: to those who use it, one like OpenTelemetry's own.
import { type Context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rootOf, SCOPE } from '../../src/kernel/task-context.ts'

// A span's and a scope's have fields of their own.
const KEYS = [createContextKey('a'), createContextKey('OpenTelemetry Context Key SPAN'), SCOPE]
const TASK_ROOT = rootOf(undefined)
const step = fc.record({ key: fc.nat(2), value: fc.option(fc.nat(9)) })

function contextsAfter(root: Context, steps: readonly { key: number; value: number | null }[]): Context[] {
  const made = [root]
  for (const { key, value } of steps) {
    const [at, name] = [made.at(-1) as Context, KEYS[key] as symbol]
    made.push(value === null ? at.deleteValue(name) : at.setValue(name, value))
  }
  return made
}

const read = (at: Context): unknown[] => KEYS.map((key) => at.getValue(key))

describe("a task's context", () => {
  it("gives what OpenTelemetry's own gives, whatever is set and deleted, and never changes", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        expect(contextsAfter(TASK_ROOT, steps).map(read)).toEqual(contextsAfter(ROOT_CONTEXT, steps).map(read))
      }),
    )
  })

  it('lets go of what was replaced long ago', () => {
    const [, key] = KEYS as [symbol, symbol]
    let at: Context = TASK_ROOT
    const refs = Array.from({ length: 100 }, (_, n) => {
      const value = { n }
      at = at.setValue(key, value)
      return value
    })
    const held = JSON.stringify(at, (name, value) =>
      value instanceof Map ? [...value] : name === '' ? { ...value } : value,
    )
    expect(at.getValue(key)).toBe(refs[99])
    expect(held ?? '').not.toContain('"n":50')
  })
})
