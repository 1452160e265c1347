/** How the behaviours of `workerd` are tried, with a client on Node. */
import type { WebSocket, WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Cause, Effect, Exit, Schedule, type Scope } from "effect"
import type { Outcomes } from "../behaviours.js"

/** Where one behaviour is tried. */
export interface Place {
  readonly url: string
  /** Asks the Worker, which does not wake a Durable Object. */
  readonly ask: (path: string) => Effect.Effect<unknown>
}

export type Behaviour = (place: Place) => Effect.Effect<void, unknown, WebSocketClient.WebSocketClient | Scope.Scope>

export const equal = (actual: unknown, expected: unknown): Effect.Effect<void> =>
  Effect.sync(() => {
    const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
    if (a !== b) throw new Error(`${a} in place of ${b}`)
  })

export const expected = (socket: WebSocket.WebSocket, text: string) =>
  Effect.flatMap(socket.receive, ({ data }) => equal(data, text))

export const asked = (socket: WebSocket.WebSocket, question: string, answer: string) =>
  Effect.zipRight(socket.send(question), expected(socket, answer))

export const closedWith = (socket: WebSocket.WebSocket, code: number) =>
  Effect.flatMap(socket.closeStatus, ({ received }) => equal(received?.code, code))

/** How the server saw the end of a connection. It may learn of it after the client. */
export const endOf = ({ ask }: Place, name: string) =>
  Effect.flatMap(ask("/ends"), (ends) => {
    const found = Array.isArray(ends)
      ? ends.map((end: string) => JSON.parse(end)).find(([of]) => of === name)
      : undefined
    return found === undefined ? Effect.fail(new Error(`${name} has not ended`)) : Effect.succeed(found.slice(1))
  }).pipe(Effect.retry(Schedule.intersect(Schedule.spaced("20 millis"), Schedule.recurs(200))))

/** Tries all behaviours against a `workerd` that listens on a port, each at a path of its own. */
export const tryAll = (
  behaviours: Readonly<Record<string, Behaviour>>,
  port: number,
  path: (index: number) => string
): Effect.Effect<Outcomes> =>
  Effect.gen(function* () {
    const outcomes: Record<string, string> = {}
    const ask = (path: string) =>
      Effect.promise(async (): Promise<unknown> => (await fetch(`http://127.0.0.1:${port}${path}`)).json())
    for (const [index, [name, behaviour]] of Object.entries(behaviours).entries()) {
      const exit = yield* behaviour({ url: `ws://127.0.0.1:${port}${path(index)}`, ask }).pipe(
        Effect.scoped,
        Effect.timeout("20 seconds"),
        Effect.provide(NodeWebSocketClient.layer),
        Effect.exit
      )
      outcomes[name] = Exit.isSuccess(exit) ? "ok" : (Cause.pretty(exit.cause).split(/\n +at /)[0] ?? "").trim()
    }
    return outcomes
  })
