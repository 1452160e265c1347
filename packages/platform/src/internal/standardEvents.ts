/** The events of a standard WebSocket, and its event handler attributes. */

/**
 * The event of a message. `data` is a text for a text message, and a `Blob` or an `ArrayBuffer` for a binary one, as
 * `binaryType` says.
 *
 * @since 3.0.0
 * @category models
 */
export interface MessageEvent extends Event {
  readonly data: unknown
  /** The origin of the URL of the connection. */
  readonly origin: string
}

/**
 * The event of the end of a connection.
 *
 * @since 3.0.0
 * @category models
 */
export interface CloseEvent extends Event {
  /** Whether both sides completed the closing handshake. */
  readonly wasClean: boolean
  /** The code of the peer's Close: 1005 if it had none, and 1006 if no Close arrived. */
  readonly code: number
  /** The reason of the peer's Close. */
  readonly reason: string
}

/**
 * The event of a connection that failed. The standard gives it no details, because a page must not learn them. Here the
 * event has them.
 *
 * @since 3.0.0
 * @category models
 */
export interface ErrorEvent extends Event {
  readonly message?: string
  /** The error with which the connection failed: one of this library's, or a defect of the app. */
  readonly error?: unknown
}

/**
 * The events of a standard WebSocket by their types.
 *
 * @since 3.0.0
 * @category models
 */
export interface EventMap {
  readonly open: Event
  readonly message: MessageEvent
  readonly error: ErrorEvent
  readonly close: CloseEvent
}

interface CloseEventInit {
  readonly wasClean: boolean
  readonly code: number
  readonly reason: string
}

// Node 22 lacks this class.
class FallbackCloseEvent extends Event {
  readonly wasClean: boolean
  readonly code: number
  readonly reason: string

  constructor(type: string, init: CloseEventInit) {
    super(type)
    this.wasClean = init.wasClean
    this.code = init.code
    this.reason = init.reason
  }
}

Object.defineProperty(FallbackCloseEvent, "name", { value: "CloseEvent" })
Object.defineProperty(FallbackCloseEvent.prototype, Symbol.toStringTag, { value: "CloseEvent", configurable: true })

// Every runtime has it. Without the types of the DOM, TypeScript does not know it.
declare const MessageEvent: new (
  type: string,
  init: { readonly data: unknown; readonly origin: string }
) => MessageEvent

export const messageEvent = (data: unknown, origin: string): MessageEvent =>
  new MessageEvent("message", { data, origin })

export const closeEvent = (init: CloseEventInit): CloseEvent => {
  // Looked up late, because Node loads its own class only when it is used.
  const CloseEvent: typeof FallbackCloseEvent = Reflect.get(globalThis, "CloseEvent") ?? FallbackCloseEvent
  return new CloseEvent("close", init)
}

/** An `Event`, as the standard says, with properties of its own. */
export const errorEvent = (error: unknown): ErrorEvent =>
  Object.assign(new Event("error"), { error, message: error instanceof Error ? error.message : String(error) })

interface Entry {
  handler: object
  readonly listener: (event: Event) => void
}

/**
 * The event handler attributes of a target, such as `onmessage` (HTML §8.1.8.1). A handler keeps its place among the
 * listeners while it is replaced, and loses it if it is removed.
 */
export class EventHandlers {
  private readonly target: EventTarget
  private readonly entries = new Map<string, Entry>()

  constructor(target: EventTarget) {
    this.target = target
  }

  get(type: string): object | null {
    return this.entries.get(type)?.handler ?? null
  }

  /** Anything but an object removes the handler. */
  set(type: string, handler: unknown): void {
    const entry = this.entries.get(type)
    if ((typeof handler !== "object" && typeof handler !== "function") || handler === null) {
      if (entry === undefined) return
      this.entries.delete(type)
      this.target.removeEventListener(type, entry.listener)
    } else if (entry !== undefined) {
      entry.handler = handler
    } else {
      const added: Entry = {
        handler,
        listener: (event) => {
          if (typeof added.handler === "function") Reflect.apply(added.handler, event.currentTarget, [event])
        }
      }
      this.entries.set(type, added)
      this.target.addEventListener(type, added.listener)
    }
  }
}
