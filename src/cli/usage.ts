// What the command line takes, in words, and the error for what it does not take.

export const USAGE = `taskspan watch: queues and brokers as Prometheus metrics, from outside of the workers

  npx taskspan watch --redis redis://localhost:6379 --queue render --queue emails
  npx taskspan watch --amqp amqp://localhost --amqp-queue orders --management http://localhost:15672

  --redis <url>          BullMQ on Redis; or REDIS_URL
  --postgres <url>       BullMQ on PostgreSQL; or POSTGRES_URL
  --queue <name>         a BullMQ queue, as often as needed; or TASKSPAN_QUEUES=a,b
  --prefix <prefix>      BullMQ's key prefix on Redis, where it is not 'bull'
  --amqp <url>           RabbitMQ; or AMQP_URL
  --amqp-queue <name>    a queue of RabbitMQ, as often as needed; or TASKSPAN_AMQP_QUEUES=a,b
  --management <url>     RabbitMQ's management API; or AMQP_MANAGEMENT_URL
  --priority <number>    a priority whose depth is shown, as often as needed
  --interval-ms <ms>     time between two looks, 15000
  --stuck-after-ms <ms>  when a queue from which nobody takes is stuck, 60000
  --host, --port         where /metrics is served, 127.0.0.1:9464; or TASKSPAN_HOST, TASKSPAN_PORT

Flags are seen by everybody on the machine: give URLs with passwords in the environment.

taskspan observability: dashboards, alerting rules with your thresholds, runbooks, and the stack to look at them

  npx taskspan observability --out ops
  npx taskspan observability --help`

/** Something to correct on the command line. Its message never has the value of a URL. */
export class UsageError extends Error {
  override name = 'UsageError'

  constructor(
    message: string,
    readonly usage: string = USAGE,
  ) {
    super(message)
  }
}
