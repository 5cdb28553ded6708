// BullMQ's job schedulers as the broker keeps them: next and last runs, runs that were skipped, runs that overlap.
import type { QueueBackend } from './bullmq-queue.ts'
import type { Gauges, Reading } from './gauges.ts'
import { tickOf } from './job-heads.ts'
import type { Tell } from './lookout.ts'
import { type Timetable, timetableOf } from './timetable.ts'

interface Known {
  next: number
  /** Ticks that were made so far; each start of a run makes the next one. */
  made: number
  timetable: Timetable | undefined
  /** What the timetable was read from. */
  rule: string
  /** Skipped runs that were counted while the next one was overdue. */
  counted: number
}

// Bounds of one look: schedulers of a queue, and the jobs among which their runs are looked for.
const MAX_SCHEDULERS = 200
const MAX_JOBS = 200
// A worker needs a moment: a run is not missed while it may be starting.
const GRACE_MS = 1_000

export class Schedules {
  private readonly known = new Map<string, Known>()
  /** The newest completed tick of each schedule, by planned time. */
  private readonly succeeded = new Map<string, number>()
  private overlapping = new Set<string>()

  constructor(
    private readonly gauges: Gauges | undefined,
    private readonly tell: Tell,
  ) {}

  async look(backend: QueueBackend): Promise<void> {
    const range = await backend.getJobSchedulersRange(0, MAX_SCHEDULERS - 1, true)
    const next = new Map<string, number>()
    for (let at = 0; at + 1 < range.length; at += 2) next.set(String(range[at]), Number(range[at + 1]))
    for (const id of this.known.keys()) {
      if (next.has(id)) continue
      this.known.delete(id)
      this.succeeded.delete(id)
    }
    for (const [id, time] of next) await this.plan(backend, id, time)
    if (this.known.size === 0) return
    await this.lastSuccesses(backend)
    await this.overlaps(backend)
  }

  readings(): Reading[] {
    return [...this.known].flatMap(([id, { next, timetable }]): Reading[] => {
      const intervalMs = timetable?.intervalAt(next)
      return [
        ['cronNextRun', [id], next / 1000],
        ['cronInterval', [id], intervalMs === undefined ? undefined : intervalMs / 1000],
      ]
    })
  }

  private async plan(backend: QueueBackend, id: string, next: number): Promise<void> {
    const before = this.known.get(id)
    if (before?.next === next) {
      this.missed(id, before, (before.timetable?.after(next, Date.now() - GRACE_MS) ?? 0) - before.counted)
      return
    }
    const data = await backend.getJobSchedulerData(id)
    // Repeatable jobs of older versions of BullMQ lie beside the schedulers, and count nothing.
    if (data.ic === undefined) return
    const made = Number(data.ic)
    const rule = JSON.stringify([data.every, data.pattern, data.tz, data.offset])
    const timetable = before?.rule === rule ? before.timetable : timetableOf(data)
    this.known.set(id, { next, made, timetable, rule, counted: 0 })
    // Between two looks as many runs should have started as were planned. A schedule that was changed starts anew.
    if (before === undefined || before.rule !== rule || made <= before.made) return
    const planned = timetable?.between(before.next, next)
    if (planned !== undefined) this.missed(id, before, planned - (made - before.made) - before.counted)
  }

  private missed(schedule: string, known: Known, count: number): void {
    if (count <= 0) return
    known.counted += count
    this.tell({ kind: 'schedule', event: 'missed', schedule, count })
  }

  // A completed job stays for as long as the user lets it: what is there is found again after a restart of this process.
  private async lastSuccesses(backend: QueueBackend): Promise<void> {
    const [ids = []] = await backend.getRanges(['completed'], 0, MAX_JOBS - 1, false)
    const seen = new Set<string>()
    for (const id of ids) {
      const tick = tickOf(id)
      if (tick === undefined || seen.has(tick.schedule) || !this.known.has(tick.schedule)) continue
      seen.add(tick.schedule)
      if ((this.succeeded.get(tick.schedule) ?? 0) >= tick.time) continue
      this.succeeded.set(tick.schedule, tick.time)
      const finishedOn = (await backend.getJobData(id))?.finishedOn
      const cell = this.gauges?.cronLastSuccess.cell(tick.schedule)
      // The run itself may have said it here already; a fact does not get stale, so nobody takes it back.
      if (finishedOn !== undefined && cell !== undefined) cell.set(Math.max(cell.value, finishedOn / 1000))
    }
  }

  private async overlaps(backend: QueueBackend): Promise<void> {
    const [ids = []] = await backend.getRanges(['active'], 0, MAX_JOBS - 1, false)
    const running = new Map<string, string[]>()
    for (const id of [...ids].sort()) {
      const tick = tickOf(id)
      if (tick !== undefined) running.set(tick.schedule, [...(running.get(tick.schedule) ?? []), id])
    }
    const overlapping = new Set([...running.values()].flatMap(([, ...later]) => later))
    for (const [schedule, [, ...later]] of running) {
      const count = later.filter((id) => !this.overlapping.has(id)).length
      if (count > 0) this.tell({ kind: 'schedule', event: 'overlapped', schedule, count })
    }
    this.overlapping = overlapping
  }
}
