// The pressure on a broker: what it shows, and what is said when it begins to refuse messages.
import { LINE } from '../kernel/names.ts'
import type { Reading } from './gauges.ts'
import type { Tell } from './lookout.ts'
import { asNumber } from './source.ts'

/** A broker's pressure. What it cannot tell is left out. */
export interface BrokerState {
  /** Memory used, as a part of what it may use. */
  readonly memoryRatio?: number | undefined
  /** It takes no messages. */
  readonly blocked?: boolean | undefined
  /** Redis's `maxmemory-policy`. */
  readonly evictionPolicy?: string | undefined
}

export function brokerReadings(broker: string, { memoryRatio, blocked }: BrokerState): Reading[] {
  return [
    ['brokerMemory', [broker], memoryRatio],
    ['brokerBlocked', [broker], asNumber(blocked)],
  ]
}

/** Says when a broker is blocked and when it is no more: once each. */
export class BlockedLine {
  private blocked = false

  constructor(
    private readonly broker: string,
    private readonly tell: Tell,
  ) {}

  say({ blocked = false, memoryRatio }: BrokerState): void {
    if (blocked === this.blocked) return
    this.blocked = blocked
    const { broker } = this
    const ratio = memoryRatio === undefined ? {} : { memory_ratio: Math.round(memoryRatio * 1000) / 1000 }
    if (blocked) this.tell({ kind: 'line', level: 'error', message: LINE.brokerBlocked, fields: { broker, ...ratio } })
    else this.tell({ kind: 'line', level: 'info', message: LINE.brokerUnblocked, fields: { broker } })
  }
}
