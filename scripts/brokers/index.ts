// Private brokers for tests, the demo and the benchmarks. They end with the process that started them.
export type { Broker } from './broker.ts'
export { type RabbitMq, type RabbitMqOptions, startRabbitMq } from './rabbitmq.ts'
export { type RedisOptions, startRedis } from './redis.ts'
export { createVhost, deleteVhosts, managementUrlOf, nodeNameAt } from './vhosts.ts'
