// RabbitMQ, when AMQP_URL names one: the owner of a clip gets a mail, and the trace goes on in the consumer that sends it.
import { setTimeout as work } from 'node:timers/promises'
import type { ChannelModel } from 'amqplib'
import type { Middleware } from 'taskspan'
import { amqp } from 'taskspan/amqp'
import { log } from 'taskspan/logging'
import type { Telemetry } from 'taskspan/telemetry'
import type { Clip } from './api.ts'

export interface Mail extends AsyncDisposable {
  readonly describe: string
  /** Publishes a message of type `mail_owner`; its task is named by the type. */
  mailOwner(clip: Clip): void
  /** Resolves when the first mail has been sent. */
  readonly sent: Promise<void>
}

const QUEUE = 'demo.mail'

export async function startMail(t: Telemetry): Promise<Mail | undefined> {
  const url = process.env.AMQP_URL
  if (!url) return undefined
  const connection = await connectRabbitMq(url)
  const channel = await connection.createChannel()
  // RabbitMQ deletes an exclusive queue with its connection, however this process ends.
  await channel.assertQueue(QUEUE, { exclusive: true })

  let tellSent = (): void => {}
  const sent = new Promise<void>((resolve) => {
    tellSent = resolve
  })
  // A middleware outside of the telemetry goes on when the span has ended and the line is written.
  const whenSent: Middleware = async ({ kind }, next) => {
    await next()
    if (kind === 'task') tellSent() // a send is in an onion, too
  }

  const { consume, sendToQueue } = amqp(whenSent, t)
  const consumer = await consume(channel, QUEUE, async ({ content }) => {
    const { clip } = JSON.parse(content.toString()) as Clip
    await work(70)
    log().info({ clip }, 'mailed')
  })

  return {
    describe: `RabbitMQ at ${new URL(url).host}`,
    mailOwner: (clip) => sendToQueue(channel, QUEUE, Buffer.from(JSON.stringify(clip)), { type: 'mail_owner' }),
    sent,
    [Symbol.asyncDispose]: async () => {
      await consumer.close()
      await connection.close()
    },
  }
}

async function connectRabbitMq(url: string): Promise<ChannelModel> {
  // Loaded late: who has no AMQP_URL needs no amqplib.
  const { connect } = await import('amqplib')
  try {
    return await connect(url, { timeout: 5_000 })
  } catch (cause) {
    const where = (URL.canParse(url) && new URL(url).host) || 'the given address'
    const why = cause instanceof Error ? cause.message || cause.name : String(cause)
    throw new Error(
      `AMQP_URL is set, but RabbitMQ at ${where} does not answer (${why}). Start it, or unset AMQP_URL.`,
      {
        cause,
      },
    )
  }
}
