// The processor in TypeScript, for a worker thread: tsx's own flag does nothing there.
import { register } from 'tsx/esm/api'

register()
const { default: processor } = await import('./sandboxed-clip.ts')
export default processor
