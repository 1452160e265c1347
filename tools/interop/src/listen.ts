import { Effect, type Scope } from "effect"
import type { Server } from "node:net"

/** Listens on an ephemeral port, which it returns, until the scope ends; then `drop` ends what is connected still. */
export const listen = (server: Server, drop: () => void): Effect.Effect<number, Error, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          drop()
        })
    )
    const address = server.address()
    if (address === null || typeof address === "string") return yield* Effect.fail(new Error("no address"))
    return address.port
  })
