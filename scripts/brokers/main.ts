// Keeps both brokers running for a terminal: `npx tsx scripts/brokers/main.ts`, until Ctrl-C.
import { startRabbitMq, startRedis } from './index.ts'

const [redis, rabbitMq] = await Promise.all([startRedis(), startRabbitMq()])
console.log(`export REDIS_URL=${redis.url} AMQP_URL=${rabbitMq.url}`)
console.error(`Redis took ${redis.startedInMs} ms, RabbitMQ ${rabbitMq.startedInMs} ms. Ctrl-C ends both.`)
setInterval(() => {}, 2 ** 30)
