import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { localProtocolError } from "@effect-websocket/protocol/Errors"
import * as Extension from "@effect-websocket/protocol/Extension"
import type { Message } from "@effect-websocket/protocol/Message"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ConnectError } from "../engine/client/Dial.js"
import type { Link } from "../engine/connection/Link.js"
import type { CloseStatus, WebSocket } from "../WebSocket.js"
import { closeWithoutCode } from "./closing.js"
import {
  awaitCallback,
  catchCause,
  forever,
  forkChild,
  hasInterruptsOnly,
  interruptUnsafe,
  observeFiber,
  runForkLater,
  type Batch,
  type Fiber,
  type Runtime
} from "./effect.js"
import { hasReader } from "./Reader.js"
import { closeEvent, errorEvent, messageEvent } from "./standardEvents.js"
import { readerKey } from "./typeId.js"

/** The states of a standard WebSocket. */
export const readyStates = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 } as const

export type ReadyState = (typeof readyStates)[keyof typeof readyStates]

const { CLOSED, CLOSING, CONNECTING, OPEN } = readyStates

/** The types of the data of binary messages. */
export type BinaryType = "blob" | "arraybuffer"

/** How to connect, and in which runtime. */
export interface StandardPlan {
  readonly baseUrl: string | undefined
  readonly runtime: Runtime<never>
  readonly connect: (
    url: string,
    protocols: ReadonlyArray<string>,
    headers: Readonly<Record<string, string>> | undefined
  ) => Effect.Effect<WebSocket, ConnectError>
}

/** The request of one connection. */
export interface StandardRequest {
  readonly url: URL
  readonly protocols: ReadonlyArray<string>
  readonly headers: Readonly<Record<string, string>> | undefined
}

/** The data of a message that waits to be sent. The caller must not change bytes. */
export type OutgoingData = string | Uint8Array | Blob

type Outgoing =
  | { readonly _tag: "Message"; readonly data: OutgoingData; readonly bytes: number }
  | { readonly _tag: "Close"; readonly code: number | undefined; readonly reason: string }

const later: (task: () => void) => void = typeof setImmediate === "function" ? setImmediate : setTimeout

/** A connection as the WebSockets standard describes it. It passes its events to `fire`. */
export class StandardConnection {
  readyState: ReadyState = CONNECTING
  protocol = ""
  extensions = ""
  binaryType: BinaryType = "blob"
  private readonly request: StandardRequest
  private readonly fire: (event: Event) => void
  private readonly fiber: Fiber<CloseStatus, unknown>
  private socket: WebSocket | undefined = undefined
  /** The link of the socket. A socket of the app's may have none. */
  private link: Link<Message> | undefined = undefined
  private tasks = 0
  /** Whether the messages that wait to be read are the last ones before the closing handshake. */
  private closesBehindMessages = false
  private outgoing: Array<Outgoing> = []
  private wakeSender: (() => void) | undefined = undefined
  /** The bytes of messages that the socket has not taken. They stay if the connection ends. */
  private waitingBytes = 0
  /** The bytes of messages that the socket has taken. Some of them may not have been written. */
  private takenBytes = 0
  /** Why this side failed the connection, if it did. */
  private failure: Failure | undefined = undefined

  constructor(plan: StandardPlan, request: StandardRequest, fire: (event: Event) => void) {
    this.request = request
    this.fire = fire
    const { headers, protocols, url } = request
    const connected = Effect.suspend(() => plan.connect(url.href, protocols, headers))
    this.fiber = runForkLater(
      plan.runtime,
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(connected), (socket) =>
          Effect.onExit(restore(this.use(socket)), (exit) =>
            Exit.isSuccess(exit) ? Effect.void : Effect.ignore(socket.close("GoingAway"))
          )
        )
      )
    )
    observeFiber(this.fiber, (exit) => this.end(exit))
  }

  get bufferedAmount(): number {
    this.countTaken()
    return this.waitingBytes + this.takenBytes
  }

  private countTaken(): void {
    if (this.socket === undefined) return
    this.takenBytes = Math.min(this.takenBytes, Effect.runSync(this.socket.bufferedBytes))
  }

  /** Sends a message once those before it have been sent. If the connection is closing or over, it only counts the bytes. */
  send(data: OutgoingData, bytes: number): void {
    this.waitingBytes += bytes
    if (this.readyState === OPEN) this.queue({ _tag: "Message", data, bytes })
  }

  /** Closes the connection once all messages have been sent. The code and the reason must be valid. */
  close(code: number | undefined, reason: string): void {
    if (this.readyState >= CLOSING) return
    const { readyState } = this
    this.readyState = CLOSING
    if (readyState === OPEN) return this.queue({ _tag: "Close", code, reason })
    this.failure = { error: new Error("The WebSocket was closed before it was open") }
    interruptUnsafe(this.fiber)
  }

  private queue(item: Outgoing): void {
    this.outgoing.push(item)
    this.wakeSender?.()
  }

  private use(socket: WebSocket): Effect.Effect<CloseStatus, unknown> {
    return Effect.gen(
      function* (this: StandardConnection) {
        // The protocol leaves it to the client whether it goes on without a subprotocol (WebSockets standard §2.2).
        if (this.request.protocols.length > 0 && socket.protocol === undefined) {
          yield* socket.abort
          return yield* Effect.fail(
            localProtocolError("The server selected none of the subprotocols", "WebSockets standard §2.2")
          )
        }
        this.queueTask(() => this.open(socket))
        if (hasReader(socket)) this.watchClosing(socket[readerKey].link)
        yield* forkChild(catchCause(this.sendAll(socket), (cause) => this.failSending(socket, cause)))
        yield* Effect.ignore(forever(Effect.flatMap(socket.receiveAll, (batch) => this.deliver(batch))))
        this.startClosing()
        return yield* socket.closeStatus
      }.bind(this)
    )
  }

  /** The client itself begins to close, because of a timeout or a limit, or at the end of the scope. */
  private watchClosing(link: Link<Message>): void {
    this.link = link
    link.connection.settlesLate = true
    link.settleLater = () => this.settleBehindEvents(link)
    if (link.stopSettling !== undefined) {
      link.stopSettling()
      link.stopSettling = link.settleLater()
    }
    link.listen(({ _tag }) => {
      // After an error, the reader ends behind the messages that wait.
      if (_tag !== "Closing" || link.connection.error !== undefined) return
      if (link.inbox.isEmpty) this.startClosing()
      else this.closesBehindMessages = true
    })
  }

  /**
   * A Close or a violation takes effect once the events of all messages before it have been fired, so that their handlers can still
   * answer. With TLS, it arrives in a chunk of its own, and the events of the messages before it may come after that.
   */
  private settleBehindEvents(link: Link<Message>): () => void {
    let isCancelled = false
    const look = (): void => {
      if (isCancelled) return
      // A reader that waits has taken all messages.
      if (this.tasks === 0 && link.inbox.isAwaited) link.settle()
      else later(look)
    }
    look()
    return () => {
      isCancelled = true
    }
  }

  private startClosing(): void {
    this.queueTask(() => {
      if (this.readyState === OPEN) this.readyState = CLOSING
    })
  }

  private open(socket: WebSocket): void {
    if (this.readyState !== CONNECTING) return
    this.socket = socket
    this.readyState = OPEN
    this.protocol = socket.protocol ?? ""
    // A value that is not a token could not have arrived.
    const extensions = Extension.format(socket.extensions)
    this.extensions = typeof extensions === "string" ? extensions : ""
    this.fire(new Event("open"))
  }

  /**
   * Each event is fired in a task of its own, in order, as the standard says: the microtasks of one event run before the next
   * event, also if several chunks arrive in one step.
   */
  private queueTask(task: () => void): void {
    this.tasks++
    later(() => {
      this.tasks--
      task()
    })
  }

  /** Queues an event for each message. */
  private deliver(messages: Batch<Message>): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const message of messages) this.queueTask(() => this.deliverOne(message))
      if (this.closesBehindMessages) this.startClosing()
      // Reading goes on while one event waits, so that it is not suspended for each message. If a Close arrived behind the
      // messages, it waits for all events: asking for more would let it take effect.
      if (this.tasks <= 1 && this.link?.connection.unsettled !== true) return Effect.void
      return awaitCallback<void>((resume) => this.queueTask(() => resume(Effect.void)))
    })
  }

  private deliverOne(message: Message): void {
    if (this.readyState !== OPEN) return
    const data = message._tag === "Text" ? message.data : toBinary(this.binaryType, message.data)
    this.fire(messageEvent(data, this.request.url.origin))
  }

  private sendAll(socket: WebSocket): Effect.Effect<never, ConnectionError> {
    const filled = awaitCallback<void>((resume) => {
      this.wakeSender = () => resume(Effect.void)
      return () => {
        this.wakeSender = undefined
      }
    })
    return forever(
      Effect.suspend(() => {
        const { outgoing } = this
        if (outgoing.length === 0) return filled
        this.outgoing = []
        this.wakeSender = undefined
        return Effect.forEach(outgoing, (item) => this.sendOne(socket, item), { discard: true })
      })
    )
  }

  private sendOne(socket: WebSocket, item: Outgoing): Effect.Effect<void, ConnectionError> {
    if (item._tag === "Close") return closeSocket(socket, item.code, item.reason)
    const { bytes, data } = item
    const send =
      data instanceof Blob
        ? Effect.flatMap(
            Effect.promise(() => data.arrayBuffer()),
            (buffer) => socket.send(new Uint8Array(buffer))
          )
        : socket.send(data)
    return Effect.map(send, () => {
      this.waitingBytes -= bytes
      this.takenBytes += bytes
    })
  }

  /** A message could not be sent although the connection is open: it is too large, or its `Blob` cannot be read. */
  private failSending(socket: WebSocket, cause: Cause.Cause<ConnectionError>): Effect.Effect<void> {
    if (hasInterruptsOnly(cause)) return Effect.void
    return Effect.flatMap(socket.isOpen, (isOpen) => {
      if (!isOpen) return Effect.void
      this.failure = { error: Cause.squash(cause) }
      this.startClosing()
      return Effect.ignore(socket.close("InternalError"))
    })
  }

  private end(exit: Exit.Exit<CloseStatus, unknown>): void {
    const { code, failure, reason, wasClean } = this.outcome(exit)
    this.queueTask(() => {
      this.readyState = CLOSED
      this.countTaken()
      this.socket = undefined
      this.link = undefined
      this.outgoing = []
      if (failure !== undefined) this.fire(errorEvent(failure.error))
    })
    this.queueTask(() => this.fire(closeEvent({ wasClean, code, reason })))
  }

  private outcome(exit: Exit.Exit<CloseStatus, unknown>): Outcome {
    if (this.failure !== undefined) return failed(this.failure.error)
    if (Exit.isFailure(exit)) {
      return failed(
        hasInterruptsOnly(exit.cause) ? new Error("The scope of the WebSocket ended") : Cause.squash(exit.cause)
      )
    }
    const { clean, error, received } = exit.value
    // The connection was lost, or the peer broke a rule or a limit.
    if (received === undefined || error._tag !== "Connection_closed") return failed(error)
    return { wasClean: clean, code: received.code, reason: received.reason, failure: undefined }
  }
}

interface Failure {
  readonly error: unknown
}

interface Outcome {
  readonly wasClean: boolean
  readonly code: number
  readonly reason: string
  /** Why the connection failed, if it did. */
  readonly failure: Failure | undefined
}

const failed = (error: unknown): Outcome => ({ wasClean: false, code: 1006, reason: "", failure: { error } })

const closeSocket = (socket: WebSocket, code: number | undefined, reason: string): Effect.Effect<void> => {
  if (code !== undefined) return Effect.ignore(socket.close(code, reason))
  return hasReader(socket) ? closeWithoutCode(socket[readerKey].link) : socket.close()
}

const toBinary = (type: BinaryType, data: Uint8Array): Blob | ArrayBufferLike => {
  if (type === "blob") return new Blob([data])
  const { buffer, byteLength } = data
  return byteLength === buffer.byteLength ? buffer : data.slice().buffer
}
