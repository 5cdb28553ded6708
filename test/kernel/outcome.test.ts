// What is said of an error: its type, message, stack and code, whatever was thrown.
import { reject } from 'taskspan'
import { describe, expect, it } from 'vitest'
import { describeError, errorType, maskUrls, rejectReason } from '../../src/kernel/outcome.ts'

class PaymentError extends Error {}
class Named extends Error {
  override name = 'QuotaError'
}
const boom = (): never => {
  throw new Error('trap')
}
const hostile = (): object =>
  new Proxy(new Error('x'), {
    get: boom,
    has: boom,
    getPrototypeOf: boom,
    ownKeys: boom,
    getOwnPropertyDescriptor: boom,
  })

describe('error.type', () => {
  it.each<[string, unknown]>([
    ['QuotaError', new Named()],
    ['PaymentError', new PaymentError('an error whose class nobody named')],
    ['TypeError', new TypeError('x')],
    ['AggregateError', new AggregateError([])],
    ['AbortError', new DOMException('x', 'AbortError')],
    ['ECONNREFUSED', Object.assign(new Error('x'), { code: 'ECONNREFUSED' })],
    ['PaymentError', Object.assign(new PaymentError('x'), { code: 'E_CARD' })],
    ['Error', Object.assign(new Error('x'), { code: 42_000_000_000 })],
    ['Error', new Error('x')],
    ['Error', Object.assign(new Error('x'), { name: 'order 4711 not found' })],
    ['Error', Object.assign(new Error('x'), { name: 'N'.repeat(5_000) })],
    ['Error', Object.create(null)],
    ['Object', { message: 'thrown as it is' }],
    ['string', 'a text'],
    ['number', 404],
    ['undefined', undefined],
    ['null', null],
    ['symbol', Symbol('s')],
    ['Rejected', reject('malformed')],
    ['Error', hostile()],
  ])('is %s, never the message', (type, thrown) => {
    expect(errorType(thrown)).toBe(type)
  })
})

describe('describeError()', () => {
  it('gives message, stack and code', () => {
    const error = Object.assign(new TypeError('no'), { code: 'ERR_NO' })
    expect(describeError(error)).toEqual({
      ...{ type: 'TypeError', message: 'no', stack: error.stack, code: 'ERR_NO' },
      truncated: false,
    })
  })

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['Symbol(s)', Symbol('s')],
    ['7', 7n],
    ['a text', 'a text'],
    ['', {}],
    ['', hostile()],
    ['', { message: { toString: boom } }],
    [
      '',
      {
        get message() {
          return boom()
        },
      },
    ],
  ])('says "%s" of what else can be thrown', (message, thrown) => {
    expect(describeError(thrown)).toMatchObject({ message, truncated: false })
  })

  it('cuts a message at 4 KiB and a stack at 16 KiB, counted in bytes, and says so', () => {
    // 2,000 characters of three bytes are fewer than 4,096, and too many.
    for (const text of ['x'.repeat(2_000_000), '错'.repeat(2_000_000), '🧨'.repeat(2_000_000), '错'.repeat(2_000)]) {
      const error = Object.assign(new Error(text), { stack: text.repeat(5) })
      const { message, stack = '', truncated } = describeError(error)
      expect(truncated).toBe(true)
      expect(Buffer.byteLength(message)).toBeLessThanOrEqual(4_096)
      expect(Buffer.byteLength(message)).toBeGreaterThan(4_090)
      expect(Buffer.byteLength(stack)).toBeLessThanOrEqual(16_384)
      expect(message, 'no half character at the end').not.toMatch(/[\uFFFD]|[\uD800-\uDBFF]$/)
    }
  })

  it('masks connection URLs in message and stack', () => {
    const { message, stack } = describeError(new Error('connect amqp://user:hunter2@rabbit:5672/shop failed'))
    expect(message).toBe('connect amqp://***@rabbit:5672/shop failed')
    expect(stack).not.toContain('hunter2')
  })
})

describe('maskUrls()', () => {
  it.each([
    ['redis://:secret@host:6379/0', 'redis://***@host:6379/0'],
    ['rediss://default:p%40ss@host', 'rediss://***@host'],
    ['postgresql+ssl://u:p@a/db and amqps://u:p@b', 'postgresql+ssl://***@a/db and amqps://***@b'],
    ['mongodb+srv://u:p@ss@cluster.example', 'mongodb+srv://***@cluster.example'],
    ['https://example.com/path?mail=a@b.c', 'https://example.com/path?mail=a@b.c'],
    ['{"url":"http://host","mail":"a@b.c"}', '{"url":"http://host","mail":"a@b.c"}'],
    ['see http://host or write to me@host', 'see http://host or write to me@host'],
    ['no url: a@b', 'no url: a@b'],
  ])('%s', (text, masked) => {
    expect(maskUrls(text)).toBe(masked)
  })

  it('takes no longer for a text made to be slow', () => {
    const evil = `x://${'a.'.repeat(100_000)}`
    const start = performance.now()
    maskUrls(evil)
    maskUrls(`${'://'.repeat(50_000)}@`)
    expect(performance.now() - start).toBeLessThan(1_000)
  })
})

describe('a rejection', () => {
  it('is what reject() made, also in another copy of the package', () => {
    expect(rejectReason(reject('expired'))).toBe('expired')
    const foreign = Object.assign(new Error('x'), { [Symbol.for('taskspan.rejection.1')]: 'malformed' })
    expect(rejectReason(foreign)).toBe('malformed')
    expect(rejectReason({ [Symbol.for('taskspan.rejection.1')]: 'a payload' })).toBe('other')
  })

  it('is not an error of the user that has a code or a reason alike', () => {
    expect(rejectReason(Object.assign(new Error('x'), { code: 'REJECTED', reason: 'card declined' }))).toBeUndefined()
    for (const thrown of [undefined, null, 'malformed', hostile()]) expect(rejectReason(thrown)).toBeUndefined()
  })
})
