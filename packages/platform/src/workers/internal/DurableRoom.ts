import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { Binary, Text, type Message } from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { toMessage, type Data } from "../../engine/connection/sendable.js"
import { closeCodeOfExit } from "../../internal/closeCodeOfExit.js"
import {
  exitOfQuiet,
  quiet,
  runForkWith,
  runtime,
  scopeMakeUnsafe,
  type Fiber,
  type Runtime
} from "../../internal/effect.js"
import { failureReport } from "../../internal/handlers.js"
import type { CloseStatus } from "../../WebSocket.js"
import { DurableConnection, type End, type Host } from "./DurableConnection.js"
import type { DurableObjectContext, HibernatableSocket } from "./hibernation.js"
import type { StateCodec } from "./state.js"

/** The connection of a room. */
export type RoomConnection<S, R> = DurableConnection<S, DurableRoom<S, R>>

/** What a room is made of. */
export interface RoomPlan<S, R> {
  readonly codec: StateCodec<S>
  readonly maxMessageBytes: number
  readonly maxUnreadBytes: number
  readonly layer: Layer.Layer<R, unknown>
  readonly onOpen: (socket: RoomConnection<S, R>) => Effect.Effect<unknown, unknown, R>
  readonly onMessage: (socket: RoomConnection<S, R>, message: Message) => Effect.Effect<unknown, unknown, R>
  readonly onClose: (socket: RoomConnection<S, R>, status: CloseStatus) => Effect.Effect<unknown, unknown, R>
}

/** The connections of a Durable Object, and the fibers of their handlers. It has no timer and nothing that waits between events. */
export class DurableRoom<S, R> implements Host<S, DurableRoom<S, R>> {
  readonly context: DurableObjectContext
  readonly codec: StateCodec<S>
  readonly maxMessageBytes: number
  readonly maxUnreadBytes: number
  readonly room = this
  private readonly plan: RoomPlan<S, R>
  // A connection that nobody uses any more can be made again from its WebSocket.
  private readonly connections = new WeakMap<HibernatableSocket, RoomConnection<S, R>>()
  private services: Promise<Exit.Exit<Runtime<R>, unknown>> | undefined = undefined

  constructor(context: DurableObjectContext, plan: RoomPlan<S, R>) {
    this.context = context
    this.plan = plan
    this.codec = plan.codec
    this.maxMessageBytes = plan.maxMessageBytes
    this.maxUnreadBytes = plan.maxUnreadBytes
  }

  // Connections

  private of(socket: HibernatableSocket): RoomConnection<S, R> {
    let connection = this.connections.get(socket)
    if (connection === undefined) {
      connection = new DurableConnection<S, DurableRoom<S, R>>(socket, this)
      this.connections.set(socket, connection)
    }
    return connection
  }

  /** Takes over a WebSocket with its state attached. */
  accept(socket: HibernatableSocket, state: S, protocol: string | undefined): void {
    this.context.waitUntil(this.of(socket).open(state, protocol))
  }

  sockets(tag?: string): Effect.Effect<ReadonlyArray<RoomConnection<S, R>>> {
    const open = Effect.suspend(() =>
      Effect.forEach(this.openNow(tag), (connection) =>
        Effect.map(connection.load, (loaded) => (loaded ? [connection] : []))
      )
    )
    // Its attachment tells whether a connection was closing when the object went to sleep.
    return Effect.map(open, (connections) => connections.flat().filter(({ isOpenNow }) => isOpenNow))
  }

  broadcast(
    data: Data,
    { except, tag }: { readonly tag?: string | undefined; readonly except?: unknown } = {}
  ): Effect.Effect<void> {
    return Effect.sync(() => {
      const message = toMessage(data)
      for (const connection of this.openNow(tag)) if (connection !== except) connection.sendNow(message)
    })
  }

  private openNow(tag: string | undefined): ReadonlyArray<RoomConnection<S, R>> {
    const sockets = tag === undefined ? this.context.getWebSockets() : this.context.getWebSockets(tag)
    return sockets.map((socket) => this.of(socket)).filter(({ isOpenNow }) => isOpenNow)
  }

  // Events of the platform

  receive(socket: HibernatableSocket, data: string | ArrayBuffer): Promise<void> {
    return this.of(socket).arrive(typeof data === "string" ? new Text(data) : new Binary(new Uint8Array(data)))
  }

  end(socket: HibernatableSocket, end: End): Promise<void> {
    return this.of(socket).ended(end)
  }

  // What connections ask for

  async load(connection: RoomConnection<S, R>): Promise<boolean> {
    const exit = await this.run(connection.load)
    if (Exit.isSuccess(exit)) return exit.value
    await this.report(connection, exit)
    return false
  }

  opened(connection: RoomConnection<S, R>): Promise<void> {
    return this.perform(connection, () => this.plan.onOpen(connection))
  }

  received(connection: RoomConnection<S, R>, message: Message): Promise<void> {
    return this.perform(connection, () => this.plan.onMessage(connection, message))
  }

  closed(connection: RoomConnection<S, R>, status: CloseStatus): Promise<void> {
    return this.perform(connection, () => this.plan.onClose(connection, status))
  }

  failed(error: ConnectionError): void {
    void this.run(Effect.logWarning("The connection failed", error.message))
  }

  private async perform(
    connection: RoomConnection<S, R>,
    handler: () => Effect.Effect<unknown, unknown, R>
  ): Promise<void> {
    const exit = await this.run(Effect.suspend(handler))
    if (Exit.isFailure(exit)) await this.report(connection, exit)
  }

  /** A handler has failed, or its services. */
  private async report(connection: RoomConnection<S, R>, exit: Exit.Exit<unknown, unknown>): Promise<void> {
    connection.startClosing({ code: closeCodeOfExit(exit), reason: "" })
    const report = failureReport(exit)
    if (report !== undefined) await this.log(report)
  }

  // Fibers

  /** Runs an effect with the services of the app. The promise never fails. `started` may interrupt the fiber. */
  async run<A, E>(effect: Effect.Effect<A, E, R>, started?: (fiber: Fiber) => void): Promise<Exit.Exit<A, unknown>> {
    this.services ??= this.build()
    const services = await this.services
    return Exit.isSuccess(services) ? exitOf(services.value, effect, started) : Exit.failCause(services.cause)
  }

  /** Logs with the loggers of the app, or with the default ones if its services are not there. */
  async log(entry: Effect.Effect<void>): Promise<void> {
    const exit = await this.run(entry)
    if (Exit.isFailure(exit)) await Effect.runPromiseExit(entry)
  }

  /** Makes the services for the first event. If that fails, the next event tries again. */
  private async build(): Promise<Exit.Exit<Runtime<R>, unknown>> {
    // Nothing tells when the object is dropped, so nothing closes the scope.
    const built = Effect.flatMap(Layer.buildWithScope(this.plan.layer, scopeMakeUnsafe()), (context) =>
      Effect.provide(runtime<R>(), context)
    )
    const exit = await Effect.runPromiseExit(built)
    if (Exit.isFailure(exit)) this.services = undefined
    return exit
  }
}

const exitOf = <A, E, R>(
  runtime: Runtime<R>,
  effect: Effect.Effect<A, E, R>,
  started: ((fiber: Fiber) => void) | undefined
): Promise<Exit.Exit<A, E>> =>
  new Promise((resolve) => {
    const fiber = runForkWith(runtime)(quiet(effect))
    started?.(fiber)
    fiber.addObserver((exit) => resolve(exitOfQuiet(exit)))
  })
