// taskspan/register: instruments before the application is loaded, and starts the SDK where the environment says who this is.
import { preload } from './preloaded.ts'

preload()
