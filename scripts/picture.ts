// Makes the README's picture from what the demo printed: tsx scripts/picture.ts < demo-output > docs/images/waterfall.svg
import { text } from 'node:stream/consumers'
import { ansiToSvg } from './ansi-to-svg.ts'

// The task that is a graph of steps. With REDIS_URL and AMQP_URL set, its trace runs over both brokers.
const printed = (await text(process.stdin)).replace(/\r/g, '')
const from = printed.search(/^.*A task is a graph/m)
const to = printed.search(/^.*A task fails, and/m)
if (from < 0 || to < 0) throw new Error('This is not what `npm run demo` prints: its headlines are missing.')
process.stdout.write(ansiToSvg(printed.slice(from, to)))
