// What went wrong with the SDK: kept for status(), counted, and said once each as a process warning.
import { fault } from '../kernel/faults.ts'

const MAX_PROBLEMS = 50

export class Problems {
  readonly all: string[] = []

  /**
   * @param reason a fixed word for the count in `taskiq_telemetry_errors_total`
   * @param text what happened and what to do; never a credential
   */
  add(reason: string, text: string, error?: unknown): void {
    fault('sdk', reason, error)
    if (this.all.includes(text) || this.all.length >= MAX_PROBLEMS) return
    this.all.push(text)
    // OTel's diag has no logger unless somebody gave it one: who called start() must hear of it all the same.
    // Without a full stop: many end in a command to be copied.
    process.emitWarning(`taskspan: ${text}`, 'TaskspanWarning')
  }
}
