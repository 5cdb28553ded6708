// An OTLP backend over gRPC for tests: keeps what it is sent, and answers, refuses or hangs as it is told.
import { type handleUnaryCall, Server, ServerCredentials } from '@grpc/grpc-js'

export interface GrpcReceived {
  readonly path: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Buffer
}

export interface GrpcReceiver {
  readonly url: string
  readonly requests: GrpcReceived[]
  close(): void
}

const PATHS = ['trace.v1.TraceService', 'logs.v1.LogsService'].map(
  (service) => `/opentelemetry.proto.collector.${service}/Export`,
)

/** @param answer an error code of gRPC, or no answer at all */
export async function grpcReceiver(answer?: number | 'never'): Promise<GrpcReceiver> {
  const requests: GrpcReceived[] = []
  const server = new Server()
  for (const path of PATHS) {
    const handle: handleUnaryCall<Buffer, Buffer> = ({ metadata, request }, done) => {
      requests.push({ path, headers: metadata.getMap(), body: request })
      if (answer === undefined) done(null, Buffer.alloc(0))
      else if (answer !== 'never') done({ code: answer, details: 'told to' })
    }
    const plain = (bytes: Buffer): Buffer => bytes
    const kind = { path, requestStream: false, responseStream: false } as const
    const codec = { requestSerialize: plain, requestDeserialize: plain }
    const back = { responseSerialize: plain, responseDeserialize: plain }
    server.addService({ Export: { ...kind, ...codec, ...back } }, { Export: handle })
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  return { url: `http://127.0.0.1:${port}`, requests, close: () => server.forceShutdown() }
}
