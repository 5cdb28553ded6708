// Runbooks name the default limits: those of a user, said in the runbooks of the alerts that they change.
import { runbookOf } from './alerts.ts'
import type { AlertRule } from './rule.ts'
import { groups } from './rules.ts'
import { asFlags, NONE, rulesOf, type Settings } from './settings.ts'

/** By the name of its file: the flags that make a runbook's alert another than the default. */
export function ownLimits(settings: Settings): Readonly<Record<string, readonly string[]>> {
  const usual = alertsOf(NONE)
  const own: Record<string, string[]> = {}
  for (const one of single(settings)) {
    for (const [alert, rules] of alertsOf(one)) {
      if (rules !== usual.get(alert)) own[alert] = [...(own[alert] ?? []), ...asFlags(one)]
    }
  }
  return own
}

/** A runbook, with the user's limits under its title. */
export function limited(runbook: string, flags: readonly string[]): string {
  const line = `Limits in this text are the defaults. Here they are set by \`${flags.join(' ')}\`.`
  return runbook.replace(/^(# .+\n)/, (title) => `${title}\n${line}\n`)
}

function single({ thresholds, perTask }: Settings): Settings[] {
  return [
    ...Object.entries(thresholds).map(([name, value]): Settings => ({ ...NONE, thresholds: { [name]: value } })),
    ...Object.entries(perTask).map(([task, value]): Settings => ({ ...NONE, perTask: { [task]: value } })),
  ]
}

function alertsOf(settings: Settings): ReadonlyMap<string, string> {
  const alerts = groups(rulesOf(settings)).flatMap(({ rules }) =>
    rules.filter((rule): rule is AlertRule => 'alert' in rule),
  )
  const texts = new Map<string, string>()
  for (const rule of alerts) {
    const file = runbookOf(rule.alert)
    texts.set(file, (texts.get(file) ?? '') + JSON.stringify(rule))
  }
  return texts
}
