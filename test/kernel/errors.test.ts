// Our one error class, the options' check, and reject().
import { RejectedError, reject, TaskspanError } from 'taskspan'
import { describe, expect, it } from 'vitest'
import { checkOptions } from '../../src/kernel/errors.ts'

describe('checkOptions()', () => {
  const checks = {
    name: 'string',
    count: 'number',
    on: 'boolean',
    fn: 'function',
    list: 'array',
    map: 'object',
  } as const
  const check = (options: object) => () => checkOptions('thing', options, checks)

  it('takes every option of the right kind, and undefined as unset', () => {
    expect(check({ name: '', count: 0, on: false, fn: () => {}, list: [], map: {} })).not.toThrow()
    expect(check({ name: undefined, count: undefined })).not.toThrow()
    expect(check({})).not.toThrow()
  })

  it('refuses an unknown key, with its value and the keys that exist', () => {
    expect(check({ nmae: 'x' })).toThrow(
      expect.objectContaining({
        code: 'UNKNOWN_OPTION',
        message: expect.stringContaining(`thing: unknown option 'nmae' ("x"). Known: name, count, on, fn, list, map.`),
      }),
    )
    expect(check({ toString: 1 })).toThrow(expect.objectContaining({ code: 'UNKNOWN_OPTION' }))
    expect(check(JSON.parse('{"__proto__": 1}'))).toThrow(expect.objectContaining({ code: 'UNKNOWN_OPTION' }))
  })

  it.each([
    [{ name: 7 }, `'name' must be a string, got 7.`],
    [{ count: '7' }, `'count' must be a number, got "7".`],
    [{ on: null }, `'on' must be a boolean, got null.`],
    [{ fn: 'f' }, `'fn' must be a function, got "f".`],
    [{ list: {} }, `'list' must be an array, got [object Object].`],
    [{ map: [] }, `'map' must be an object, got .`],
    [{ map: null }, `'map' must be an object, got null.`],
    [{ name: Object.create(null) }, `'name' must be a string, got a value of type object.`],
    [{ count: 'x'.repeat(1_000) }, 'xxx....'],
  ])('refuses %o: says what is wrong, its value, and what to do', (options, message) => {
    expect(check(options)).toThrow(TaskspanError)
    expect(check(options)).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining(message),
        help: expect.stringMatching(/^\w.*\.$/),
      }),
    )
  })

  it.each([[null], [[]], [7], ['text']])('refuses %o in place of options', (options) => {
    expect(check(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })
})

it('says in its message what its help says', () => {
  const error = new TaskspanError('NEXT_NOT_AWAITED', 'Wrong.', { cause: 7 })
  expect(error).toMatchObject({ name: 'TaskspanError', code: 'NEXT_NOT_AWAITED', cause: 7 })
  expect(error.message).toBe(`Wrong. ${error.help}`)
})

describe('reject()', () => {
  it('makes an error that BullMQ never retries', () => {
    expect(reject('malformed')).toBeInstanceOf(RejectedError)
    expect(reject('malformed')).toMatchObject({ name: 'UnrecoverableError', code: 'REJECTED', reason: 'malformed' })
    expect(reject('expired', 'Too late.').message).toMatch(/^Too late\./)
  })

  it('knows four reasons, and takes any other as other', () => {
    for (const reason of ['malformed', 'unknown_task', 'expired', 'other'] as const) {
      expect(reject(reason).reason).toBe(reason)
    }
    expect(reject('the payload {"card": 4242}' as never).reason).toBe('other')
  })
})
