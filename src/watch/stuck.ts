// Says when a queue becomes stuck and when it moves again: once each.
import { LINE } from '../kernel/names.ts'
import type { Tell } from './lookout.ts'

export class StuckLine {
  private stuck = false

  constructor(
    private readonly queue: string,
    private readonly tell: Tell,
  ) {}

  say(stuck: boolean, fields: () => object): void {
    if (stuck === this.stuck) return
    this.stuck = stuck
    const { queue } = this
    if (stuck) this.tell({ kind: 'line', level: 'error', message: LINE.workerStuck, fields: { queue, ...fields() } })
    else this.tell({ kind: 'line', level: 'info', message: LINE.workerUnstuck, fields: { queue } })
  }
}
