// The cases of a fault that concern a contender.
import { CONTENDERS } from '../contenders/index.ts'
import type { Case, ContenderName, Fault, Form, Place } from '../fault.ts'

export function concerns(fault: Fault, contender: ContenderName, place: Place): boolean {
  return CONTENDERS[contender].places.includes(place) && (fault.contenders?.includes(contender) ?? true)
}

interface Whose {
  readonly contender: ContenderName
  readonly form: Form
  readonly place: Place
}

export function casesOf(fault: Fault, { contender, form, place }: Whose): readonly Case[] {
  if (!concerns(fault, contender, place)) return []
  return fault.cases(form, place).filter(({ contenders }) => contenders?.includes(contender) ?? true)
}
