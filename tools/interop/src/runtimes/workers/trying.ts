/** How the behaviours of `workerd` are tried, with a client on Node. */
import type { WebSocket, WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Effect, Schedule, type Scope } from "effect"
import { mapRecord, observeAll, type Observed } from "../observe.js"

/** Where one behaviour is tried. */
export interface Place {
  readonly url: string
  /** Asks the Worker, which does not wake a Durable Object. */
  readonly ask: (path: string) => Effect.Effect<unknown>
}

export type Behaviour = (place: Place) => Effect.Effect<void, unknown, WebSocketClient.WebSocketClient | Scope.Scope>

/** What differs from one server to the next: the cell of the table. */
export type Fact = (place: Place) => Effect.Effect<string, unknown, WebSocketClient.WebSocketClient | Scope.Scope>

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

/** What is tried, each at a path of its own. */
export interface Trials {
  readonly behaviours: Readonly<Record<string, Behaviour>>
  readonly facts: Readonly<Record<string, Fact>>
  readonly path: (number: number) => string
}

/** Tries everything. `placeAt` gives the place of a path. */
export const tryAll = (
  { behaviours, facts, path }: Trials,
  placeAt: (path: string) => Place
): Effect.Effect<{ readonly behaviours: Observed; readonly facts: Observed }> => {
  const before = Object.keys(behaviours).length
  const tried = (trial: Behaviour | Fact, number: number) =>
    trial(placeAt(path(number))).pipe(
      Effect.scoped,
      Effect.timeout("20 seconds"),
      Effect.provide(NodeWebSocketClient.layer)
    )
  return Effect.all({
    behaviours: observeAll(mapRecord(behaviours, tried)),
    facts: observeAll(mapRecord(facts, (fact, index) => tried(fact, before + index)))
  })
}
