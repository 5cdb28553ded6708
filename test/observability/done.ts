// What the fleet really did, by its own ledger, and which numbers of the dashboards and rules must therefore be shown.

export type Numbers = number | Readonly<Record<string, number>>

/** The ledgers of all processes, and the sizes of the queues as their own clients tell them. */
export class Done {
  constructor(
    private readonly ledger: Readonly<Record<string, number>>,
    private readonly sizes: Readonly<Record<string, Readonly<Record<string, number>>>> = {},
  ) {}

  did(what: string): number {
    return this.ledger[what] ?? 0
  }

  /** Everything in the ledger that matches, summed up. */
  all(pattern: RegExp): number {
    return Object.entries(this.ledger).reduce((sum, [what, count]) => sum + (pattern.test(what) ? count : 0), 0)
  }

  steps(step: string): number {
    return this.all(new RegExp(`^step ${step} `))
  }

  waiting(queue: string): number {
    return (this.sizes[queue]?.waiting ?? 0) + (this.sizes[queue]?.prioritized ?? 0)
  }

  /** Nothing of what was sent is left to do. */
  isAll(): boolean {
    const tasks = ['render_clip', 'publish_clip', 'analyse_clip', 'export_clip', 'convert_clip']
    const ended = (task: string): number => this.all(new RegExp(`^${task} (success|failure|cancelled)$`))
    return (
      tasks.every((task) => ended(task) === this.did(`sent clips ${task}`)) &&
      this.all(/^rejected /) === this.did('sent clips import_clip') &&
      ended('mail_order') === this.did('sent orders mail_order') &&
      ended('archive_clip') === 1
    )
  }
}

type Expected = (done: Done) => Numbers

/** Dashboard, panel, which of its queries, and what it must give: a number, or numbers by labels. */
export const SHOWN: readonly (readonly [string, string, number, Expected])[] = [
  ['overview', 'Failed or lost', 0, (done) => done.all(/^\w+_\w+ failure$/) + 1],
  [
    ...(['overview', 'Which task failed', 0] as const),
    (done) => ({
      'clips publish_clip': done.did('publish_clip failure'),
      'clips analyse_clip': done.did('analyse_clip failure'),
      'orders mail_order': done.did('mail_order failure'),
    }),
  ],
  ['overview', 'Which task failed', 1, () => ({ 'archive archive_clip': 1 })],
  ['overview', 'Workers', 0, () => 4],
  ['overview', 'Workers gone', 0, () => 1],
  ['pipelines', 'Runs', 0, (done) => done.all(/^pipeline /)],
  ['pipelines', 'Failed runs', 0, (done) => done.did('pipeline failure')],
  ['pipelines', 'Success rate', 0, (done) => done.did('pipeline success') / done.all(/^pipeline /)],
  ['pipelines', 'Steps retried', 0, (done) => done.did('step transcribe retry')],
  ['pipelines', 'Steps timed out', 0, (done) => done.did('step detect_faces timeout')],
  [
    ...(['pipelines', 'Which step fails', 0] as const),
    (done) => ({
      'analysis render': done.did('step render failure'),
      'analysis detect_faces': done.did('step detect_faces timeout'),
    }),
  ],
  [
    ...(['pipelines', 'Slowest steps', 2] as const),
    (done) => ({
      'analysis download': done.steps('download'),
      'analysis transcribe': done.steps('transcribe'),
      'analysis detect_faces': done.steps('detect_faces'),
      'analysis render': done.steps('render'),
    }),
  ],
  ['queues', 'Dead-lettered', 0, (done) => done.did('mail_order failure')],
  [
    ...(['queues', 'Waiting', 0] as const),
    (done) => done.waiting('exports') + done.waiting('returns') + done.waiting('orders-dlq'),
  ],
  ['queues', 'Paused', 0, () => 1],
  ['queues', 'Without consumers', 0, () => ['exports', 'returns'].length], // and no dead-letter queue, nor the paused one
  ['queues', 'Stuck', 0, () => 1],
  [
    ...(['external', 'Each operation', 0] as const),
    (done) => ({ 's3 upload': done.did('s3 calls'), 'whisper transcribe': done.did('whisper calls') }),
  ],
  [
    ...(['external', 'Each operation', 1] as const),
    (done) => ({ 's3 upload': 1, 'whisper transcribe': 1 - done.did('whisper errors') / done.did('whisper calls') }),
  ],
  [
    ...(['external', 'Used', 0] as const),
    (done) => ({
      'whisper transcribe gpu_seconds': done.did('whisper gpu_seconds'),
      'whisper transcribe input_tokens': done.did('whisper input_tokens'),
    }),
  ],
  ['schedules', 'Did it run?', 5, (done) => ({ cleanup: done.did('cleanup missed') })],
  ['schedules', 'Did it run?', 6, (done) => ({ cleanup: done.did('cleanup overlapped') })],
  ['worker', 'Processes', 0, () => 4],
]

/** Series that rules record, and what they must be. */
export const RECORDED: readonly (readonly [string, Expected])[] = [
  [
    'taskiq:task_failure:ratio{task_name="mail_order"}',
    (done) => ({ 'orders mail_order': done.did('mail_order failure') / done.did('sent orders mail_order') }),
  ],
  ['taskiq:queue_backlog:max{queue="exports"}', (done) => ({ exports: done.waiting('exports') })],
  ['taskiq:queue_backlog:max{queue="orders-dlq"}', (done) => ({ 'orders-dlq': done.did('mail_order failure') })],
  ['taskiq:messages_expired:count15m', (done) => ({ clips: done.did('rejected expired') })],
  ['taskiq:worker_processes:count', () => ({ api: 1, mail: 1, render: 1, scheduler: 1 })],
]
