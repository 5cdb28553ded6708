// A pool over one in-process PGlite, as much of `pg.Pool` as BullMQ's PostgreSQL backend uses.
import { EventEmitter } from 'node:events'
import type { PGlite } from '@electric-sql/pglite'
import type { PgPool, PgPoolClient, PgQueryResult } from 'bullmq'

export function pglitePool(db: PGlite): PgPool {
  const inFlight = new Set<Promise<unknown>>()
  let ending: Promise<void> | undefined

  async function query<Row>(text: string, params?: readonly unknown[]): Promise<PgQueryResult<Row>> {
    // BullMQ knows this wording: a straggler that reads it during a close is dropped instead of reported.
    if (ending) throw new Error('Cannot use a pool after calling end on the pool')
    // Only `exec` takes several statements at once (migrations) and LISTEN; only `query` takes parameters.
    const sent = params ? db.query<Row>(text, [...params]) : db.exec(text).then((results) => results.at(-1))
    inFlight.add(sent)
    try {
      return ((await sent) as PgQueryResult<Row> | undefined) ?? { rows: [] }
    } finally {
      inFlight.delete(sent)
    }
  }

  // Every client is the same session, but has listeners of its own: BullMQ removes them all when it closes one.
  function connect(): PgPoolClient {
    const client = Object.assign(new EventEmitter(), { query, release: () => stop() })
    const stop = db.onNotification((channel, payload) => client.emit('notification', { channel, payload }))
    return client
  }

  async function end(): Promise<void> {
    await Promise.allSettled(inFlight)
    await db.close()
  }

  const pool = Object.assign(new EventEmitter(), {
    // There is no socket that could drop unseen; without this word workers poll every 10 s.
    options: { keepAlive: true },
    query,
    connect: async () => connect(),
    end: () => {
      ending ??= end()
      return ending
    },
  })
  // Each queue and worker listens for errors on the one pool: more than ten of them is no leak.
  return pool.setMaxListeners(0)
}
