// The table of faults. A row is an export of a file in rows/; its place in the table is its place in this list.
import type { Fault } from './fault.ts'
import { backends } from './rows/backends.ts'
import { carriers } from './rows/carriers.ts'
import { contexts } from './rows/context.ts'
import { outcomes, privacy, truths } from './rows/handlers.ts'
import { http } from './rows/http.ts'
import { misuse } from './rows/misuse.ts'
import { throwingAroundSends, throwingAroundTasks } from './rows/parts.ts'
import { poisoned } from './rows/poisoned.ts'
import { processes } from './rows/processes.ts'
import { shapes } from './rows/shapes.ts'
import { volume } from './rows/volume.ts'

export const FAULTS: readonly Fault[] = [
  carriers,
  poisoned,
  throwingAroundTasks,
  throwingAroundSends,
  outcomes,
  truths,
  privacy,
  contexts,
  backends,
  processes,
  volume,
  http,
  shapes,
  misuse,
]
