// The lifecycle's log lines, through the telemetry of this process; without one there is no logger, and no line.
import { notify } from '../kernel/compose.ts'
import { LINE } from '../kernel/names.ts'
import { shared } from '../kernel/shared.ts'

type Fields = Readonly<Record<string, unknown>>

export function say(line: keyof typeof LINE, level: 'info' | 'warn' | 'error', fields: Fields = {}): void {
  const { telemetry } = shared
  if (telemetry !== undefined) notify(telemetry, { kind: 'line', level, message: LINE[line], fields })
}
