// What a child process has to tell its parent: kept for moments, bounded, and sent over the channel between them.
import { fault, faults, guard } from '../kernel/faults.ts'
import { MARK, VERSION_1 } from '../kernel/handover.ts'
import { MAX_ITEMS, MAX_LINE, MAX_SPAN, type Message } from '../kernel/report.ts'
import { gaugesOf, takeChanges, takeOverflows } from '../middleware/metrics/exchange.ts'
import type { Instruments } from '../middleware/metrics/registry.ts'
import type { Send } from './channel.ts'

// At once, as long as it is not too often: sandboxed code may block the event loop for minutes, or be killed, and the last
// line before that is the one that is wanted. Whoever has more to say is heard every 20 ms.
const AT_ONCE_PER_SECOND = 200
const GAP_MS = 20
const MAX_BYTES = 1_024 * 1_024
// Of a parent that does not read: what is sent to it meanwhile is kept in memory, in front of the job's result.
const MAX_UNREAD_BYTES = 32 * 1_024 * 1_024
const LAST_MS = 1_000

export interface PostOptions {
  readonly send: Send
  readonly instruments: Instruments | undefined
  /** Whether gauges are told too. Default `false`. */
  readonly gauges?: boolean | undefined
}

export class Post {
  private spans: string[] = []
  private lines: string[] = []
  private bytes = 0
  private unread = 0 // bytes, about
  private allowance = AT_ONCE_PER_SECOND
  private sentAt = performance.now()
  private timer: NodeJS.Timeout | undefined
  private readonly told = new Map<string, number>()

  constructor(private readonly options: PostOptions) {}

  /** @param text an ended span as JSON */
  span(text: string): void {
    this.keep('spans', text, MAX_SPAN)
  }

  /** @param text a log line as JSON */
  line(text: string): void {
    this.keep('lines', text, MAX_LINE)
  }

  /** Says what a run threw: its class does not survive the way to the parent. */
  threw(threw: NonNullable<Message['threw']>): void {
    this.send({ ...this.collected(), threw })
  }

  /** Sends what there is. */
  flush(): void {
    const message = this.collected()
    if (Object.keys(message).length > 0) this.send(message)
  }

  /** Sends what there is; resolves when it has left this process, or after a second. */
  async last(): Promise<void> {
    clearTimeout(this.timer)
    await new Promise<void>((resolve) => {
      const patience = setTimeout(resolve, LAST_MS)
      const left = (): void => {
        clearTimeout(patience)
        resolve()
      }
      this.send(this.collected(), left)
    })
  }

  private keep(into: 'spans' | 'lines', text: string, limit: number): void {
    if (text.length > limit) return fault('processes', 'oversized')
    if (!this.hasRoomFor(text) && this.unread < MAX_UNREAD_BYTES) this.flush()
    if (!this.hasRoomFor(text)) return fault('processes', 'overflow')
    this[into].push(text)
    this.bytes += text.length
    this.soon()
  }

  private hasRoomFor(text: string): boolean {
    return this.spans.length + this.lines.length < MAX_ITEMS && this.bytes + text.length <= MAX_BYTES
  }

  private soon(): void {
    if (this.timer !== undefined) return
    if (this.allowed() >= 1 && this.unread < MAX_UNREAD_BYTES) return this.flush()
    this.timer = setTimeout(() => {
      this.timer = undefined
      if (this.unread < MAX_UNREAD_BYTES) this.flush()
      else this.soon()
    }, GAP_MS)
    this.timer.unref()
  }

  private allowed(): number {
    const seconds = (performance.now() - this.sentAt) / 1000
    return Math.min(AT_ONCE_PER_SECOND, this.allowance + seconds * AT_ONCE_PER_SECOND)
  }

  private collected(): Partial<Message> {
    const { instruments } = this.options
    const message: { -readonly [K in keyof Message]?: Message[K] } = {}
    if (this.spans.length > 0) message.spans = this.spans
    if (this.lines.length > 0) message.lines = this.lines
    this.spans = []
    this.lines = []
    guard('processes', 'numbers', () => {
      if (instruments === undefined) return
      const changes = takeChanges(instruments)
      if (changes.length > 0) message.changes = changes
      const overflows = takeOverflows(instruments)
      if (overflows.length > 0) message.overflows = overflows
      if (this.options.gauges) message.gauges = gaugesOf(instruments)
    })
    const counted = this.newFaults()
    if (counted.length > 0) message.faults = counted
    return message
  }

  private newFaults(): [string, number][] {
    const found: [string, number][] = []
    for (const [kind, count] of faults()) {
      const before = this.told.get(kind) ?? 0
      if (count > before) found.push([kind, count - before])
      this.told.set(kind, count)
    }
    return found
  }

  private send(message: Partial<Message>, left: () => void = () => {}): void {
    this.allowance = Math.max(0, this.allowed() - 1)
    this.sentAt = performance.now()
    const { bytes } = this
    this.bytes = 0
    this.unread += bytes
    const read = (): void => {
      this.unread -= bytes
      left()
    }
    try {
      this.options.send({ [MARK]: VERSION_1, ...message }, read)
    } catch (error) {
      read()
      fault('processes', 'send', error)
    }
  }
}
