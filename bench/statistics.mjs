// Medians and their 95 % intervals, of measurements that come in groups (one group per generation of processes).

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * The median of all values and its 95 % interval by bootstrap. Groups are drawn first and then values within them: what
 * one process measures (its compiled code, its memory layout) is alike, and must not look like more evidence than it is.
 *
 * @param {number[][]} groups
 * @returns {{ median: number, low: number, high: number }}
 */
export function estimate(groups, draws = 1_000) {
  const random = generator(42)
  const pick = (list) => list[Math.floor(random() * list.length)]
  const medians = Array.from({ length: draws }, () =>
    median(groups.flatMap(() => ((group) => group.map(() => pick(group)))(pick(groups)))),
  ).sort((a, b) => a - b)
  return {
    median: median(groups.flat()),
    low: medians[Math.floor(draws * 0.025)],
    high: medians[Math.floor(draws * 0.975)],
  }
}

/**
 * One contender's cost as a multiple of another's, round by round: what disturbs one round of the machine disturbs both.
 *
 * @param {Record<string, number>[][]} ours answers by generation and round, as `inRounds` gives them
 * @param {Record<string, number>[][]} theirs of the same rounds
 * @param {string} measure which number of the answers
 */
export function ratio(ours, theirs, measure = 'cost') {
  const { median, low, high } = estimate(
    ours.map((group, generation) => group.map((answer, round) => answer[measure] / theirs[generation][round][measure])),
  )
  return { value: median, low, high }
}

/** The median of one number over all answers. */
export const typical = (answers, measure = 'cost') => median(answers.flat().map((answer) => answer[measure]))

// Seeded, so that the same measurements always give the same interval.
function generator(seed) {
  let state = seed
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296
    return state / 4_294_967_296
  }
}
