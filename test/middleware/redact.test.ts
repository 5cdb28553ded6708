// Credentials stay out of log lines: by key, by URL, to depth 6, without touching what was logged.
import { pino } from 'pino'
import { log, logger, logging } from 'taskspan/logging'
import { type LogLine, recordLogs } from 'taskspan/testing'
import { describe, expect, it } from 'vitest'
import { faultsOf } from '../support/faults.ts'
import { runner } from '../support/run.ts'

/** The line that log() writes for these fields. */
function lineOf(fields: object, message = 'line', redact?: readonly string[]): LogLine {
  const logs = recordLogs()
  logging({ logger: logs.logger, redact })
  log().info(fields, message)
  return logs.lines[0] as LogLine
}

const SECRETS = [
  ...['password', 'passwd', 'secret', 'token', 'access_token', 'refreshToken', 'AUTH-TOKEN', 'Authorization', 'cookie'],
  ...['set-cookie', 'Set_Cookie', 'apiKey', 'API_KEY', 'api-key', 'private_key', 'creditCard'],
  ...['card_number', 'CVV', 'ssn', '__token__'],
]
const HARMLESS = [
  'total_tokens',
  'tokenizer',
  'tokens',
  'passwords_checked',
  'secretary',
  'cookies',
  'keyboard',
  'ssnap',
]

it.each(SECRETS)('hides the value of %s, whatever it is', (key) => {
  for (const value of ['hunter2', 42, true, null, { deep: 'hunter2' }, ['hunter2']]) {
    expect(lineOf({ [key]: value, other: 1 })).toMatchObject({ [key]: '[REDACTED]', other: 1 })
  }
})

it.each(HARMLESS)('shows the value of %s', (key) => {
  expect(lineOf({ [key]: 42 })[key]).toBe(42)
})

it('hides further keys that are asked for, as they are written in any way', () => {
  const line = lineOf({ iban: 'DE00', 'Client-Ref': 'x', password: 'y', free: 'z' }, 'line', ['IBAN', 'client_ref'])
  expect(line).toMatchObject({ iban: '[REDACTED]', 'Client-Ref': '[REDACTED]', password: '[REDACTED]', free: 'z' })
})

it('goes to depth 6, through objects and lists', () => {
  const line = lineOf({ a: { b: [{ c: { token: 'hunter2', ok: 1 } }] }, list: [[{ password: 'hunter2' }]] })
  expect(JSON.stringify(line)).not.toContain('hunter2')
  expect(line.a).toEqual({ b: [{ c: { token: '[REDACTED]', ok: 1 } }] })
})

it('leaves what was logged as it is, frozen or not', () => {
  const fields = { user: { password: 'hunter2', list: [{ token: 'x' }] }, url: 'redis://u:p@h' }
  const before = structuredClone(fields)
  lineOf(fields)
  expect(fields).toEqual(before)
  const frozen = Object.freeze({ password: 'hunter2', deep: Object.freeze({ token: 'x' }) })
  expect(lineOf(frozen)).toMatchObject({ password: '[REDACTED]', deep: { token: '[REDACTED]' } })
})

it('masks the credentials of connection URLs in fields and in the text', () => {
  const line = lineOf(
    {
      url: 'amqp://user:hunter2@rabbit/shop',
      deep: { list: ['redis://:hunter2@h:6379'] },
      at: new URL('http://a:hunter2@b/'),
    },
    'connecting to postgres://u:hunter2@db/shop',
  )
  expect(line).toMatchObject({
    ...{ url: 'amqp://***@rabbit/shop', deep: { list: ['redis://***@h:6379'] }, at: 'http://***@b/' },
    message: 'connecting to postgres://***@db/shop',
  })
  expect(JSON.stringify(line)).not.toContain('hunter2')
})

describe('children of log()', () => {
  it('hide what they bind, at any depth of children, and what their own options add', () => {
    const logs = recordLogs()
    logging({ logger: logs.logger })
    const child = log().child({ token: 'hunter2', a: 1 }).child({ url: 'redis://:hunter2@h' })
    child.info({ password: 'hunter2' }, 'redis://:hunter2@h')
    child.setBindings({ b: 2 })
    log()
      .child({}, { serializers: { user: () => ({ secret: 'hunter2' }) }, formatters: { log: (o) => ({ ...o, c: 3 }) } })
      .info({ user: 1, cvv: 123 }, 'second')
    expect(logs.lines).toMatchObject([
      { token: '[REDACTED]', a: 1, url: 'redis://***@h', password: '[REDACTED]', message: 'redis://***@h' },
      { user: { secret: '[REDACTED]' }, cvv: '[REDACTED]', c: 3 },
    ])
  })

  it('hide what is bound to them later', () => {
    const logs = recordLogs()
    logging({ logger: logs.logger })
    const child = log().child({ a: 1 })
    child.setBindings({ token: 'hunter2', b: 2 })
    child.info('line')
    expect(logs.lines).toMatchObject([{ a: 1, b: 2, token: '[REDACTED]' }])
  })

  it.each([
    [
      'makes no JSON of itself',
      {
        toJSON() {
          throw new Error('no')
        },
      },
    ],
    [
      'cannot be read',
      {
        get deep(): string {
          throw new Error('no')
        },
      },
    ],
  ])('are made also where what they bind %s, as by pino: it is left out, and counted', (_, value) => {
    const logs = recordLogs()
    logging({ logger: logs.logger })
    const counted = faultsOf('logging', 'redact')
    const child = log().child({ value })
    child.setBindings({ value })
    child.info({ a: 1 }, 'line')
    expect(logs.lines).toMatchObject([{ a: 1, message: 'line' }])
    expect(counted()).toBe(2)
  })

  it('leave what has a serializer to that as it is, and hide what it makes of it, or leave it out', () => {
    class User {
      constructor(readonly token: unknown) {}
      told(): object {
        return { token: this.token }
      }
    }
    const serializers = { user: (user: User) => user.told(), broken: (user: User) => user.token }
    const unreadable = new User({
      get deep(): string {
        throw new Error('no')
      },
    })
    const logs = recordLogs()
    logging({ logger: logger({ serializers }, logs.destination) })
    const users = { user: new User('hunter2'), broken: unreadable }
    const later = log().child({})
    later.setBindings(users)
    later.info('later')
    log().child(users).info('at once')
    log()
      .child({ own: new User('hunter2') }, { serializers: { own: serializers.user } })
      .info('of its own')
    const user = { token: '[REDACTED]' }
    expect(logs.lines).toMatchObject([{ user }, { user }, { own: user }])
    for (const line of logs.lines) expect(line).not.toHaveProperty('broken')
  })
})

describe('errors', () => {
  it('keep type, message and stack, and lose what they carry along', () => {
    const error = Object.assign(new RangeError('connect amqp://u:hunter2@h'), {
      config: { headers: { Authorization: 'Bearer hunter2' } },
    })
    for (const fields of [error, { err: error }]) {
      const line = lineOf(fields, 'failed')
      expect(line.err).toMatchObject({
        ...{ type: 'RangeError', message: 'connect amqp://***@h', stack: expect.stringContaining('redact.test.ts') },
        config: { headers: { Authorization: '[REDACTED]' } },
      })
      expect(JSON.stringify(line)).not.toContain('hunter2')
    }
    expect(JSON.stringify(lineOf({ cause: error }))).not.toContain('hunter2')
    expect(error.config.headers.Authorization).toBe('Bearer hunter2')
  })

  it('stay errors to a pino that has a key of its own for them', () => {
    const logs = recordLogs()
    logging({ logger: pino({ errorKey: 'failure' }, logs.destination) })
    log().error(Object.assign(new RangeError('no'), { config: { token: 'hunter2' } }))
    expect(logs.lines[0]?.failure).toMatchObject({
      ...{ type: 'RangeError', message: 'no', stack: expect.stringContaining('redact.test.ts') },
      config: { token: '[REDACTED]' },
    })
  })

  it('speak for themselves where no text is given, masked', () => {
    const logs = recordLogs()
    logging({ logger: logs.logger })
    log().error(new Error('connect amqp://u:hunter2@h'))
    expect(logs.lines).toMatchObject([{ message: 'connect amqp://***@h' }])
  })

  it('hide credentials on the line of a failed task', async () => {
    const logs = recordLogs()
    const run = runner(logging({ logger: logs.logger }), { settle: () => {} })
    await run({}, () => Promise.reject(new Error('connect amqp://u:hunter2@h')))
    expect(logs.named('task.failed')).toMatchObject([{ error: { message: 'connect amqp://***@h' } }])
    expect(JSON.stringify(logs.lines)).not.toContain('hunter2')
  })
})

describe('odd values', () => {
  it('instances are hidden in as what JSON makes of them', () => {
    class Config {
      password = 'hunter2'
      host = 'h'
    }
    class Job {
      toJSON(): object {
        return { id: 7, token: 'hunter2' }
      }
    }
    const when = new Date(0)
    expect(lineOf({ config: new Config(), job: new Job(), when, bytes: Buffer.from('ab'), none: null })).toMatchObject({
      config: { password: '[REDACTED]', host: 'h' },
      job: { id: 7, token: '[REDACTED]' },
      when: '1970-01-01T00:00:00.000Z',
      bytes: { type: 'Buffer' },
      none: null,
    })
  })

  it('what refers to itself is written in a bounded time, with nothing shown that was not looked at', () => {
    const nodes = Array.from({ length: 60 }, () => ({ token: 'hunter2' }) as Record<string, unknown>)
    for (const node of nodes) for (const [at, other] of nodes.entries()) node[`to_${at}`] = other
    const line = lineOf({ graph: nodes[0] }) // along all of its paths it would not end within a day
    expect(JSON.stringify(line).length).toBeLessThan(4_000_000)
    expect(JSON.stringify(line)).not.toContain('hunter2')
  })

  it('what throws when it is looked at is left out, and counted; the line is there', () => {
    const faults = faultsOf('logging', 'redact')
    const line = lineOf({
      a: 1,
      get password(): string {
        return 'hunter2'
      },
      deep: {
        get b(): string {
          throw new Error('no')
        },
      },
    })
    expect(line.message).toBe('line')
    expect(JSON.stringify(line)).not.toContain('hunter2')
    expect(faults()).toBe(1)
  })
})
