// A broker that taskspan does not know, in one file: how its letters are read, judged and settled, and how one is sent.
import { type Adapter, compose, consumer, type Middleware, produce } from 'taskspan'
import type { Draft, Letter, Mailbox } from './mailbox.ts'

/** What every adapter says; only `system` and `read` are required. */
const adapter: Adapter<Letter> = {
  system: 'mailbox',
  read: ({ id, box, subject, headers, delivery }) => ({
    name: subject,
    queue: box,
    id,
    attempt: delivery,
    carrier: headers,
  }),
  judge: (_error, { headers, delivery }) => (delivery < Number(headers.attempts ?? 1) ? 'retry' : 'failure'),
  settle: (letter, { threw, outcome }) => (threw ? letter.refuse(outcome === 'retry') : letter.keep()),
}

/** `taskspan/amqp` in small: `const { read, post } = mailbox(telemetry())`. */
export function mailbox(...middleware: Middleware[]) {
  const onion = compose(...middleware)
  const consume = consumer(adapter, onion)
  return {
    /** Runs `handler` for each letter of the box. */
    read(from: Mailbox, box: string, handler: (letter: Letter) => unknown): void {
      from.read(box, (letter) => void consume(letter, () => handler(letter)))
    },
    /** Posts a letter that carries the trace, with a `send` span around it. */
    post(to: Mailbox, draft: Draft): void {
      produce('mailbox', onion, { name: draft.subject, queue: draft.box }, (carrier) =>
        to.post({ ...draft, headers: { ...draft.headers, ...carrier } }),
      )
    },
  }
}
