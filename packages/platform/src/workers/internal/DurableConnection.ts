import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import {
  ConnectionClosed,
  IoError,
  PayloadTooLarge,
  type ConnectionError,
  type ProtocolError
} from "@effect-websocket/protocol/Errors"
import { size, type Message } from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { abnormalClosure, internalError, messageTooBig } from "../../engine/connection/closeCodes.js"
import { weight } from "../../engine/connection/Inbox.js"
import { exceeds, toCloseCode, toMessage, type Data } from "../../engine/connection/sendable.js"
import type { CloseStatus } from "../../WebSocket.js"
import { decodeAttachment, encodeAttachment } from "./attachment.js"
import type { DurableObjectContext, HibernatableSocket } from "./hibernation.js"
import { InvalidState } from "./InvalidState.js"
import { decodeState, encodeState, type StateCodec } from "./state.js"

const noStatus = 1005
const openState = 1
const closedState = 3

/** What a connection needs of its Durable Object. The promises never fail. */
export interface Host<S, Room> {
  readonly context: DurableObjectContext
  readonly codec: StateCodec<S>
  readonly maxMessageBytes: number
  readonly maxUnreadBytes: number
  readonly room: Room
  /** Whether the state of the connection can be read. */
  load(connection: DurableConnection<S, Room>): Promise<boolean>
  opened(connection: DurableConnection<S, Room>): Promise<void>
  received(connection: DurableConnection<S, Room>, message: Message): Promise<void>
  closed(connection: DurableConnection<S, Room>, status: CloseStatus): Promise<void>
  failed(error: ConnectionError): void
}

/** How a connection ended, as the platform says it. */
export interface End {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean
}

/** What is known of a connection besides its WebSocket. */
interface Known<S> {
  state: S
  readonly protocol: string | undefined
}

/**
 * A connection of a Durable Object while the object is awake. Its events are handled one after another. What has to survive is
 * attached to the WebSocket, so nothing is lost if the object goes to sleep between two events.
 */
export class DurableConnection<S, Room> {
  private readonly socket: HibernatableSocket
  private readonly host: Host<S, Room>
  // "invalid" if the attachment cannot be read.
  private known: Known<S> | "invalid" | undefined = undefined
  // The events that were not handled yet.
  private events: Promise<void> = Promise.resolve()
  private unreadBytes = 0
  /** A message broke a limit: nothing after it is kept. */
  private violated = false
  private sent: CloseCode.CloseReason | undefined = undefined
  private end: End | undefined = undefined
  private error: ConnectionError | undefined = undefined

  constructor(socket: HibernatableSocket, host: Host<S, Room>) {
    this.socket = socket
    this.host = host
  }

  // Events

  /** The request was accepted. */
  open(state: S, protocol: string | undefined): Promise<void> {
    this.known = { state, protocol }
    return this.inOrder(() => this.host.opened(this))
  }

  arrive(message: Message): Promise<void> {
    const { maxMessageBytes: max, maxUnreadBytes } = this.host
    if (this.violated || this.sent !== undefined) return this.events
    if (exceeds(message, max)) {
      // The messages before it can still be answered.
      this.violated = true
      const error = new PayloadTooLarge({ limit: "message", max, size: size(message), direction: "inbound" })
      return this.inOrder(async () => {
        if (await this.host.load(this)) this.fail(error)
      })
    }
    const bytes = weight(message)
    if (this.unreadBytes + bytes > maxUnreadBytes) {
      // Not in order: the peer does not wait for the handlers.
      this.violated = true
      this.fail(new PayloadTooLarge({ limit: "unread", max: maxUnreadBytes, size: undefined, direction: "inbound" }))
      return this.events
    }
    this.unreadBytes += bytes
    return this.inOrder(async () => {
      this.unreadBytes -= bytes
      const loaded = await this.host.load(this)
      if (loaded && this.sent === undefined) await this.host.received(this, message)
    })
  }

  /** The peer has closed, or the connection is lost. The first end counts. */
  ended(end: End): Promise<void> {
    if (this.end !== undefined) return this.events
    this.end = end
    return this.inOrder(async () => {
      const loaded = await this.host.load(this)
      const status = this.finish(end)
      if (loaded) await this.host.closed(this, status)
    })
  }

  private inOrder(handle: () => Promise<void>): Promise<void> {
    this.events = this.events.then(handle)
    return this.events
  }

  /** Answers the peer's Close (RFC 6455 §5.5.1). */
  private finish({ code, reason, wasClean }: End): CloseStatus {
    const received = wasClean ? { code, reason } : undefined
    const initiator = this.sent === undefined ? "remote" : "local"
    if (this.sent === undefined && received !== undefined) {
      this.sent = received
      this.sendClose(received)
    }
    const { sent } = this
    const first = initiator === "local" ? sent : received
    const clean = received !== undefined
    this.error ??= clean
      ? new ConnectionClosed({ code, reason, ...first, initiator, clean })
      : new ConnectionClosed({ code: abnormalClosure, reason: "", initiator, clean })
    return { sent, received, initiator, clean: clean && sent !== undefined, error: this.error }
  }

  // State

  /** Reads the state if that has not happened yet. A connection whose state cannot be read is closed. */
  readonly load: Effect.Effect<boolean> = Effect.suspend(() => {
    if (this.known !== undefined) return Effect.succeed(this.known !== "invalid")
    return Effect.matchEffect(this.read, {
      onFailure: (error) => {
        if (this.known === undefined) this.known = "invalid"
        this.startClosing({ code: internalError, reason: "" })
        return Effect.as(Effect.logWarning("The state of a connection cannot be read", error.message), false)
      },
      onSuccess: (known) => {
        // Another reader may have been faster, and the state may have changed since.
        this.known ??= known
        return Effect.succeed(true)
      }
    })
  })

  private readonly read: Effect.Effect<Known<S>, InvalidState> = Effect.suspend(() => {
    const attachment = decodeAttachment(this.socket.deserializeAttachment())
    if (attachment instanceof InvalidState) return Effect.fail(attachment)
    const { protocol, sentCode, state } = attachment
    if (sentCode !== undefined) this.sent ??= { code: sentCode, reason: "" }
    return Effect.map(decodeState(this.host.codec, state), (state) => ({ state, protocol }))
  })

  private get loaded(): Known<S> {
    // The app gets a connection only after its state was read.
    if (this.known === undefined || this.known === "invalid") throw new Error("The state was not read")
    return this.known
  }

  get protocol(): string | undefined {
    return this.loaded.protocol
  }

  readonly state: Effect.Effect<S> = Effect.sync(() => this.loaded.state)

  setState(state: S): Effect.Effect<void, InvalidState> {
    return Effect.flatMap(
      Effect.suspend(() => encodeState(this.host.codec, state, this.protocol)),
      ({ encoded, state }) => {
        const { protocol, sent } = this
        const bytes = encodeAttachment({ state: encoded, protocol, sentCode: sent?.code })
        if (bytes instanceof InvalidState) return Effect.fail(bytes)
        if (!this.attach(bytes)) {
          return Effect.fail(new InvalidState({ operation: "encode", reason: "size", size: bytes.length }))
        }
        this.loaded.state = state
        return Effect.void
      }
    )
  }

  // What the app uses

  get room(): Room {
    return this.host.room
  }

  get tags(): ReadonlyArray<string> {
    return this.host.context.getTags(this.socket)
  }

  readonly autoRespondedAt: Effect.Effect<Option.Option<Date>> = Effect.sync(() => {
    const time = this.host.context.getWebSocketAutoResponseTimestamp(this.socket)
    return time === null ? Option.none() : Option.some(time)
  })

  readonly isOpen: Effect.Effect<boolean> = Effect.sync(() => this.isOpenNow)

  get isOpenNow(): boolean {
    return this.sent === undefined && this.end === undefined && this.socket.readyState === openState
  }

  send(data: Data): Effect.Effect<void, ConnectionError> {
    return Effect.suspend(() => {
      const error = this.sendNow(toMessage(data))
      return error === undefined ? Effect.void : Effect.fail(error)
    })
  }

  sendNow(message: Message): ConnectionError | undefined {
    const { refusal } = this
    if (refusal !== undefined) return refusal
    try {
      this.socket.send(message.data)
    } catch (cause) {
      return new IoError({ reason: "Reset", operation: "write", cause })
    }
    return undefined
  }

  /** After the peer's Close, messages can be sent until it is answered. */
  private get refusal(): ConnectionError | undefined {
    if (this.error !== undefined) return this.error
    const { end, sent, socket } = this
    if (sent !== undefined) return new ConnectionClosed({ ...sent, initiator: "local", clean: false })
    if (end?.wasClean === true || (end === undefined && socket.readyState < closedState)) return undefined
    return new ConnectionClosed({ code: abnormalClosure, reason: "", initiator: "remote", clean: false })
  }

  close(): Effect.Effect<void>
  close(code: number | CloseCode.Name, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>
  close(code?: number | CloseCode.Name, reason = ""): Effect.Effect<void, ProtocolError | PayloadTooLarge> {
    return Effect.suspend(() => {
      if (code === undefined) {
        this.startClosing({ code: noStatus, reason: "" })
        return Effect.void
      }
      const number = toCloseCode(code)
      const payload = CloseCode.encodePayload(number, reason)
      if (!(payload instanceof Uint8Array)) return Effect.fail(payload)
      this.startClosing({ code: number, reason })
      return Effect.void
    })
  }

  // Closing

  /** The app or the peer has broken a rule. */
  private fail(error: PayloadTooLarge): void {
    if (this.sent !== undefined) return
    this.error ??= error
    this.startClosing({ code: messageTooBig, reason: "" })
    this.host.failed(error)
  }

  /** Sends a Close, and remembers that, because the object may sleep until the peer answers it. Idempotent. */
  startClosing(close: CloseCode.CloseReason): void {
    if (this.sent !== undefined) return
    this.sent = close
    this.sendClose(close)
    const attachment = decodeAttachment(this.socket.deserializeAttachment())
    if (attachment instanceof InvalidState) return
    const bytes = encodeAttachment({ ...attachment, sentCode: close.code })
    if (!(bytes instanceof InvalidState)) this.attach(bytes)
  }

  /** Returns whether the platform keeps it. */
  private attach(bytes: Uint8Array): boolean {
    try {
      this.socket.serializeAttachment(bytes)
      return true
    } catch {
      return false
    }
  }

  private sendClose({ code, reason }: CloseCode.CloseReason): void {
    try {
      if (code === noStatus) this.socket.close()
      else this.socket.close(code, reason)
    } catch {
      // The platform has closed it already, or does not send this code of the peer again.
    }
  }
}
