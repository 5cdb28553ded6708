// What can go wrong around BullMQ, in its short form.
import { shortForm } from './short.ts'

shortForm('BullMQ')
