// When a TaskIQ message was queued: only its body knows, since the header is a 32-bit float and up to a minute off.
import { fault } from '../../kernel/faults.ts'

const MAX_BODY = 65_536

/** Milliseconds since the epoch; undefined when the body is too large to parse for it, or is not what it should be. */
export function queuedAt(content: Buffer): number | undefined {
  if (content.length >= MAX_BODY) return undefined
  try {
    const body = JSON.parse(content.toString()) as { labels?: { _taskiq_queue_time?: unknown } } | null
    const seconds = body?.labels?._taskiq_queue_time
    if (typeof seconds === 'number' && seconds > 0) return seconds * 1000
    fault('rabbitmq', 'body')
  } catch (error) {
    fault('rabbitmq', 'body', error)
  }
  return undefined
}
