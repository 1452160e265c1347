/**
 * Serves topics and presence to clients over a small protocol with recovery, which `TopicsClient` speaks. Its specification is
 * `docs/topics-protocol.md` in the repository.
 *
 * @since 3.0.0
 */
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { count } from "./engine/checks.js"
import { policyViolation } from "./engine/connection/closeCodes.js"
import { forms } from "./engine/topics/wire/Form.js"
import { SharedForm, TopicsConnection } from "./internal/TopicsConnection.js"
import { Presence } from "./Presence.js"
import * as Topics from "./Topics.js"
import type * as WebSocket from "./WebSocket.js"

/**
 * The names of the two subprotocols, the preferred one first: the messages are the same in both. A server that uses `handler` needs
 * them as its option `protocols`.
 *
 * - `effect-websocket-topics.v1.binary`: bytes in a compact form.
 * - `effect-websocket-topics.v1.json`: JSON.
 *
 * @since 3.0.0
 * @category constants
 */
export const protocols: ReadonlyArray<string> = forms.map(({ protocol }) => protocol)

/**
 * What one connection may do; see `Topics.ConnectionOptions`.
 *
 * - `rules`: who is allowed to do what. Without a rule, a topic is denied. `presence` allows to be present and to see who is.
 * - `maxTopics`: how many topics it may subscribe to, and how many sessions and views of presence it may have. Default: 100.
 * - `owner`: who this is, for example an id of the user. It is then also the key with which the connection is present, whatever
 *   the client says.
 *
 * @since 3.0.0
 * @category models
 */
export type Options<R> = Topics.ConnectionOptions<R>

/**
 * Handles one connection.
 *
 * @since 3.0.0
 * @category models
 */
export type Handler<S, R> = (
  socket: S
) => Effect.Effect<void, ConnectionError, Topics.Topics | Presence | R | Scope.Scope>

/**
 * Makes a handler for connections, for `WebSocketServer.run` and everything that is like it. The options may depend on the
 * connection, for example on the value of its check.
 *
 * All that a connection has ends with it. A peer that does not read fast enough is closed with 1013. A message that is not a request
 * closes with 1007, and a connection without one of `protocols` with 1008. Everything else that is wrong is answered with an error.
 * The requests of a connection are handled one after another. Ends and fails as `WebSocket.run` does.
 *
 * @example
 * ```ts
 * import { MemoryTopicBroker, Presence, Topics, TopicsServer, WebSocketServer } from "@effect-websocket/platform"
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Layer } from "effect"
 *
 * const rules = [Topics.rule("rooms/*", { subscribe: true, publish: true, presence: true })]
 *
 * const Rooms = WebSocketServer.layerHandler(TopicsServer.handler({ rules }), { protocols: TopicsServer.protocols })
 *
 * const Main = Rooms.pipe(
 *   Layer.provide([Topics.layerBroker(), Presence.layerBroker()]),
 *   Layer.provide([MemoryTopicBroker.layer(), NodeWebSocketServer.layer({ port: 8080 })])
 * )
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const handler: {
  <R = never>(options: Options<R>): Handler<WebSocket.WebSocket, R>
  <S extends WebSocket.WebSocket, R = never>(options: (socket: S) => Options<R>): Handler<S, R>
} = <S extends WebSocket.WebSocket, R>(options: Options<R> | ((socket: S) => Options<R>)): Handler<S, R> => {
  const shared = new Map(forms.map((form) => [form.protocol, new SharedForm(form)]))
  return (socket) =>
    Effect.gen(function* () {
      const form = socket.protocol === undefined ? undefined : shared.get(socket.protocol)
      if (form === undefined) {
        return yield* Effect.ignore(socket.close(policyViolation, "no subprotocol of topics was agreed on"))
      }
      const own = typeof options === "function" ? options(socket) : options
      const topics = yield* Topics.forConnection(socket, own)
      const settings = yield* Effect.sync(() => ({
        maxTopics: count("maxTopics", own.maxTopics ?? 100),
        owner: own.owner
      }))
      return yield* new TopicsConnection(socket, form, topics, yield* Presence, settings).run
    })
}
