// A processor in a file, as it is before anybody instruments it.
export default async function process(job) {
  if (job.name === 'fails') throw new RangeError('in the sandbox')
  return 'done'
}
