// What the rows of the workers' dashboard have in common.
import { phrases } from '../../phrases.ts'

export const { series, gauge, rate, counted } = phrases('queue', 'task')
