// What start() takes and gives. Free of the SDK's own types: a type check must pass where it is not installed.

export interface StartOptions {
  /** Name of the system. Default: `OTEL_SERVICE_NAME`. */
  readonly app?: string | undefined
  /** What this process does in it: `render`; by custom `scheduler` and `api`. `service.name` is `<app>-<worker>`. */
  readonly worker?: string | undefined
  /** `service.version`. Default: the one in `OTEL_RESOURCE_ATTRIBUTES`. */
  readonly version?: string | undefined
  /** `deployment.environment.name`. Default: the one in `OTEL_RESOURCE_ATTRIBUTES`, or `NODE_ENV`. */
  readonly environment?: string | undefined
}

export interface DestinationStatus {
  readonly name: 'otlp' | 'console'
  /** The URL without credentials, or `stderr`. */
  readonly target: string
  /** Spans that were delivered. */
  readonly delivered: number
  /** Spans that were given up. */
  readonly failed: number
  readonly lastError: string | undefined
}

export interface SdkStatus {
  /**
   * `running`; `disabled` by `OTEL_SDK_DISABLED`; `foreign`: an SDK was registered before, and was left alone;
   * `failed`: it could not be set up, see `problems`; `closed`.
   */
  readonly state: 'running' | 'disabled' | 'foreign' | 'failed' | 'closed'
  /** `service.name`. */
  readonly service: string
  /** Where spans go, how many arrived, how many did not. */
  readonly destinations: readonly DestinationStatus[]
  /** What went wrong, in words; each was also said once as a process warning. */
  readonly problems: readonly string[]
}

export interface CloseOptions {
  /** How long the last spans may take to be delivered, in ms. Default 5,000. */
  readonly graceMs?: number | undefined
}

/** What `start()` gives. None of its promises ever rejects. */
export interface Sdk extends AsyncDisposable {
  /** Resolves when everything that it loads is loaded: for tracing alone that is at once. */
  ready(): Promise<void>
  status(): SdkStatus
  /** Sends what is buffered. Resolves with whether all of it was delivered, after the exporter's own time-out at most. */
  flush(): Promise<boolean>
  /** Sends what is buffered, for at most `graceMs`, and unregisters what it registered. */
  close(options?: CloseOptions): Promise<void>
}
