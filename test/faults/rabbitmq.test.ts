// What can go wrong around RabbitMQ, in its short form.
import { shortForm } from './short.ts'

shortForm('RabbitMQ')
