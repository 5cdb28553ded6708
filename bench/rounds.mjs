// Contenders side by side: one process each, taking turns in alternating order, on one machine at one time.
import { fork } from 'node:child_process'

const FEWEST = 3 // a median of fewer says nothing

/**
 * Has every contender run up to `rounds` rounds in each of `generations` sets of fresh processes, never two at a time.
 * The order is turned around from round to round, so that a machine that slows down or speeds up favours nobody. On a
 * busy machine a generation ends its rounds when its share of `budgetMs` is over, though not before its fourth, so that
 * the whole ends in time.
 *
 * @param {{
 *   script: URL, contenders: readonly string[], generations: number, rounds: number, question: object,
 *   budgetMs?: number, execArgv?: readonly string[], progress?: (text: string) => void,
 * }} plan `question` is sent for each round, and once before, to warm up; a contender answers it with numbers
 * @returns {Promise<Record<string, Record<string, number>[][]>>} answers by contender, generation and round
 */
export async function inRounds({ script, contenders, generations, rounds, question, budgetMs, execArgv, progress }) {
  const answers = Object.fromEntries(contenders.map((name) => [name, []]))
  const startedAt = performance.now()
  for (let generation = 0; generation < generations; generation++) {
    const processes = contenders.map((name) => start(script, name, execArgv))
    const isOver = () => performance.now() - startedAt > ((budgetMs ?? Infinity) / generations) * (generation + 1)
    try {
      for (const each of processes) await each.ask({ ...question, warmUp: true })
      for (const each of processes) answers[each.name].push([])
      for (let round = 0; round < rounds && (round < FEWEST || !isOver()); round++) {
        progress?.(`processes ${generation + 1} of ${generations}, round ${round + 1} of ${rounds}`)
        for (const each of (generation + round) % 2 === 0 ? processes : processes.toReversed()) {
          answers[each.name][generation].push(await each.ask(question))
        }
      }
    } finally {
      for (const each of processes) each.stop()
    }
  }
  return answers
}

/** Has every contender answer once, all at the same time: for what is measured while nothing happens. */
export async function atOnce({ script, contenders, question, execArgv }) {
  const processes = contenders.map((name) => start(script, name, execArgv))
  try {
    for (const each of processes) await each.ask({ ...question, warmUp: true })
    return await Promise.all(processes.map((each) => each.ask(question)))
  } finally {
    for (const each of processes) each.stop()
  }
}

function start(script, name, execArgv = []) {
  const child = fork(script, [name], { execArgv: [...execArgv], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  return {
    name,
    ask: (question) =>
      new Promise((resolve, reject) => {
        const gone = (code) => reject(new Error(`contender '${name}' ended with code ${code}`))
        child.once('exit', gone)
        child.once('message', (answer) => {
          child.off('exit', gone)
          resolve(answer)
        })
        child.send(question)
      }),
    stop: () => child.kill(),
  }
}

/** In a contender's process: answers each question of the rounds. */
export function answering(answer) {
  process.on('message', async (question) => {
    process.send(await answer(question))
  })
}

/** In a contender's process: what `work` cost it, in microseconds of CPU, by all of its threads. */
export async function cpuOf(work) {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}
