// The conformance suite on the adapter that the examples write: a broker that taskspan does not know, in one file.
import { expect } from 'vitest'
import { mailbox } from '../../examples/own-adapter/adapter.ts'
import { Mailbox } from '../../examples/own-adapter/mailbox.ts'
import type { Fate } from './harness.ts'
import { conformance } from './suite.ts'

const FATES = { kept: 'done', again: 'again', 'thrown away': 'given_up' } as const

conformance({
  title: 'an adapter of your own',
  system: 'mailbox',
  defers: false,
  cancels: false,
  attributes: { 'messaging.message.id': expect.any(String) },
  hostile: [],
  async open(middleware) {
    const fates: Fate[] = []
    const checks = new Set<() => void>()
    const broker = new Mailbox((_, answer) => {
      fates.push(FATES[answer])
      for (const check of checks) check()
    })
    return {
      queue: 'orders',
      async consume(handler) {
        mailbox(middleware).read(broker, 'orders', ({ subject, text }) =>
          handler({ name: subject, body: JSON.parse(text) }),
        )
      },
      async publish({ name, body, headers, attempts }) {
        const text = JSON.stringify(body ?? null)
        broker.post({ box: 'orders', subject: name, text, headers: { ...headers, ...(attempts && { attempts }) } })
      },
      settled: (count) =>
        new Promise((resolve) => {
          const check = (): void => {
            if (fates.length < count) return
            checks.delete(check)
            resolve(fates.slice(0, count))
          }
          checks.add(check)
          check()
        }),
      close: async () => {},
    }
  },
})
