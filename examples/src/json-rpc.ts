/**
 * A server that speaks JSON-RPC 2.0 in both directions, as language servers do: clients call `add` and `countdown`, which reports its
 * progress in notifications and can be cancelled, and the server asks the client for its name.
 */
import { JsonRpc, WebSocketServer } from "@effect-websocket/platform"
import { Effect, Schema } from "effect"

export const Add = JsonRpc.request("add", { params: Schema.Array(Schema.Number), result: Schema.Number })
export const Countdown = JsonRpc.request("countdown", {
  params: Schema.Struct({ from: Schema.Int, millis: Schema.Number }),
  result: Schema.String
})
export const Left = JsonRpc.notification("left", { params: Schema.Struct({ count: Schema.Int }) })
export const Greet = JsonRpc.request("greet", { params: Schema.Undefined, result: Schema.String })
export const Name = JsonRpc.request("name", { params: Schema.Undefined, result: Schema.String })

const overflow = new JsonRpc.ResponseError({ code: 1, message: "The sum is too large" })

const add = (numbers: ReadonlyArray<number>) => {
  const sum = numbers.reduce((a, b) => a + b, 0)
  return Number.isSafeInteger(sum) ? Effect.succeed(sum) : Effect.fail(overflow)
}

const handlers = [
  JsonRpc.handler(Add, add),
  JsonRpc.handler(Countdown, ({ from, millis }, peer) =>
    Effect.gen(function* () {
      for (let count = from; count > 0; count--) {
        yield* Effect.orDie(peer.notify(Left, { count }))
        yield* Effect.sleep(millis)
      }
      return "liftoff"
    })
  ),
  // The error of the client's response is passed on. Any other error is a defect.
  JsonRpc.handler(Greet, (_, peer) =>
    peer.call(Name, undefined).pipe(
      Effect.map((name) => `Hello ${name}`),
      Effect.catchIf((error) => error._tag !== "Json_rpc_error", Effect.die)
    )
  )
]

export const RpcServer = WebSocketServer.layerHandler((socket) =>
  JsonRpc.make(socket, { handlers, cancelMethod: "$/cancelRequest", timeout: "10 seconds" }).pipe(
    Effect.flatMap((rpc) => rpc.run)
  )
)
