// The table of faults. A row is a file in rows/; its place in the table is its place in this list.
import type { Fault } from './fault.ts'
import { carriers } from './rows/carriers.ts'

export const FAULTS: readonly Fault[] = [carriers]
