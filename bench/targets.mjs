// When a target is met, in one run and over the last runs that were kept.

/** In one run: the value at or below it, and the upper end of the interval within 0.05 above. */
export const met = ({ value, high, target }) => value <= target && (high === undefined || high <= target + 0.05)

/** Not met, but not missed either: the value is at or below it, and the interval too wide to say so. */
export const unsure = (row) => !met(row) && row.value <= row.target

/** Over up to three runs: met in two of three, or in every one of fewer. */
export function verdict(rows) {
  const inSo = rows.filter(met).length
  return { met: inSo >= Math.min(2, rows.length), inSo, of: rows.length }
}
