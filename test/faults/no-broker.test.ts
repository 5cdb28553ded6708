// What can go wrong without a broker, in its short form.
import { shortForm } from './short.ts'

shortForm('no broker')
