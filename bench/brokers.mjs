// The servers that parts need: those of REDIS_URL and AMQP_URL, or private ones that end with this process.
import { tsImport } from 'tsx/esm/api'

const SERVERS = {
  redis: { variable: 'REDIS_URL', start: 'startRedis' },
  rabbitmq: { variable: 'AMQP_URL', start: 'startRabbitMq' },
}

/** Lets the variables name a running server for each of these; contenders are told by them. */
export async function provide(names) {
  for (const name of new Set(names)) {
    const { variable, start } = SERVERS[name]
    if (process.env[variable]) continue
    const brokers = await tsImport('../scripts/brokers/index.ts', import.meta.url)
    process.env[variable] = (await brokers[start]()).url
  }
}
