import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as Message from "@effect-websocket/protocol/Message"
import {
  readyStates,
  StandardConnection,
  type BinaryType,
  type OutgoingData,
  type ReadyState,
  type StandardPlan
} from "./StandardConnection.js"
import { EventHandlers, type EventMap } from "./standardEvents.js"

type Listener<Type extends keyof EventMap> = (event: EventMap[Type]) => unknown

type AnyListener = Parameters<EventTarget["addEventListener"]>[1]

/**
 * A WebSocket as the WHATWG standard describes it.
 *
 * @see https://websockets.spec.whatwg.org/
 * @since 3.0.0
 * @category models
 */
export interface StandardWebSocket extends EventTarget {
  readonly CONNECTING: 0
  readonly OPEN: 1
  readonly CLOSING: 2
  readonly CLOSED: 3

  /** The URL, normalised: absolute, with the scheme `ws:` or `wss:`. */
  readonly url: string
  /** `CONNECTING`, `OPEN`, `CLOSING` or `CLOSED`. */
  readonly readyState: ReadyState
  /**
   * The number of bytes that were passed to `send` and have not left for the network, without the overhead of frames. It
   * has no upper limit: `send` never waits. After the end it still counts the messages that the connection had not taken.
   */
  readonly bufferedAmount: number
  /** The value of `Sec-WebSocket-Extensions` that was agreed on. Empty before the connection is open. */
  readonly extensions: string
  /** The subprotocol that the server selected. Empty if there is none, and before the connection is open. */
  readonly protocol: string
  /** What the data of binary messages is, from the next event on. Default: `"blob"`. Other values are ignored. */
  binaryType: BinaryType

  onopen: Listener<"open"> | null
  onmessage: Listener<"message"> | null
  onerror: Listener<"error"> | null
  onclose: Listener<"close"> | null

  /**
   * Sends a message: bytes as a binary one, anything else as text. The bytes are copied. A `Blob` is read first, and later
   * messages wait for it. Throws an `InvalidStateError` while the connection is being opened. Later than that it never throws:
   * once the connection is closing or over, nothing is sent.
   */
  send(data: string | ArrayBufferLike | ArrayBufferView | Blob): void

  /**
   * Closes the connection once all messages have been sent. Before the connection is open, it gives up. Without arguments it
   * sends a Close without a code.
   *
   * Throws an `InvalidAccessError` for a code that is neither 1000 nor from 3000 to 4999, and a `SyntaxError` for a reason of
   * more than 123 bytes.
   */
  close(code?: number, reason?: string): void

  addEventListener<Type extends keyof EventMap>(
    type: Type,
    listener: Listener<Type>,
    options?: Parameters<EventTarget["addEventListener"]>[2]
  ): void
  addEventListener(type: string, listener: AnyListener, options?: Parameters<EventTarget["addEventListener"]>[2]): void

  removeEventListener<Type extends keyof EventMap>(
    type: Type,
    listener: Listener<Type>,
    options?: Parameters<EventTarget["removeEventListener"]>[2]
  ): void
  removeEventListener(
    type: string,
    listener: AnyListener,
    options?: Parameters<EventTarget["removeEventListener"]>[2]
  ): void
}

/** The class. What only the connection knows is in `StandardConnection`. */
export class StandardWebSocketImpl extends EventTarget {
  declare readonly CONNECTING: 0
  declare readonly OPEN: 1
  declare readonly CLOSING: 2
  declare readonly CLOSED: 3
  declare static readonly CONNECTING: 0
  declare static readonly OPEN: 1
  declare static readonly CLOSING: 2
  declare static readonly CLOSED: 3

  // Private to JavaScript, too, because libraries add properties of their own to a WebSocket.
  readonly #url: string
  readonly #connection: StandardConnection
  readonly #handlers = new EventHandlers(this)

  constructor(
    plan: StandardPlan,
    url: string | URL,
    protocols: string | Iterable<string> | undefined,
    headers?: Readonly<Record<string, string>>
  ) {
    super()
    // Web IDL converts all arguments before the constructor looks at one.
    const [input, offered] = [`${url}`, toSequence(protocols)]
    const parsed = parseUrl(input, plan.baseUrl)
    checkProtocols(offered)
    this.#url = parsed.href
    this.#connection = new StandardConnection(plan, { url: parsed, protocols: offered, headers }, (event) =>
      this.dispatchEvent(event)
    )
  }

  get url(): string {
    return this.#url
  }

  get readyState(): ReadyState {
    return this.#connection.readyState
  }

  get bufferedAmount(): number {
    return this.#connection.bufferedAmount
  }

  get extensions(): string {
    return this.#connection.extensions
  }

  get protocol(): string {
    return this.#connection.protocol
  }

  get binaryType(): BinaryType {
    return this.#connection.binaryType
  }

  set binaryType(value: BinaryType) {
    const type = `${value}`
    if (type === "blob" || type === "arraybuffer") this.#connection.binaryType = type
  }

  get onopen(): Listener<"open"> | null {
    return this.#handler("open")
  }

  set onopen(handler: Listener<"open"> | null) {
    this.#handlers.set("open", handler)
  }

  get onmessage(): Listener<"message"> | null {
    return this.#handler("message")
  }

  set onmessage(handler: Listener<"message"> | null) {
    this.#handlers.set("message", handler)
  }

  get onerror(): Listener<"error"> | null {
    return this.#handler("error")
  }

  set onerror(handler: Listener<"error"> | null) {
    this.#handlers.set("error", handler)
  }

  get onclose(): Listener<"close"> | null {
    return this.#handler("close")
  }

  set onclose(handler: Listener<"close"> | null) {
    this.#handlers.set("close", handler)
  }

  // Whoever sets a handler decides whether it is a function.
  #handler<Type extends keyof EventMap>(type: Type): Listener<Type> | null {
    return this.#handlers.get(type) as Listener<Type> | null
  }

  send(data: string | ArrayBufferLike | ArrayBufferView | Blob): void {
    requireArguments("send", arguments.length)
    const converted = toOutgoing(data)
    if (this.readyState === readyStates.CONNECTING) {
      throw new DOMException("The WebSocket is not open yet", "InvalidStateError")
    }
    this.#connection.send(converted, sizeOf(converted))
  }

  // The defaults make `length` 0, as Web IDL says.
  close(code: number | undefined = undefined, reason: string | undefined = undefined): void {
    const clamped = code === undefined ? undefined : clamp(code)
    const text = reason === undefined ? "" : `${reason}`
    if (clamped !== undefined && clamped !== 1000 && !(clamped >= 3000 && clamped <= 4999)) {
      throw new DOMException(`The close code ${clamped} is neither 1000 nor from 3000 to 4999`, "InvalidAccessError")
    }
    const size = Message.size(Message.text(text))
    if (size > CloseCode.maxReasonBytes) {
      throw new DOMException(
        `The reason has ${size} bytes; at most ${CloseCode.maxReasonBytes} are allowed`,
        "SyntaxError"
      )
    }
    // A Close that has a reason has a code, too.
    this.#connection.close(clamped ?? (text === "" ? undefined : 1000), text)
  }
}

const constants = Object.fromEntries(
  Object.entries(readyStates).map(([name, value]) => [name, { value, enumerable: true }])
)
const attributes = ["url", "readyState", "bufferedAmount", "extensions", "protocol", "binaryType", "send", "close"]
const handlers = ["onopen", "onmessage", "onerror", "onclose"]
Object.defineProperties(StandardWebSocketImpl, constants)
Object.defineProperties(StandardWebSocketImpl.prototype, {
  ...constants,
  ...Object.fromEntries([...attributes, ...handlers].map((name) => [name, { enumerable: true }])),
  [Symbol.toStringTag]: { value: "WebSocket", configurable: true }
})

/** Throws a `TypeError` if an argument is missing, as functions of web standards do. */
export const requireArguments = (name: string, count: number): void => {
  if (count === 0) throw new TypeError(`${name} needs at least one argument`)
}

const parseUrl = (input: string, base: string | undefined): URL => {
  let url: URL
  try {
    url = new URL(input, base)
  } catch {
    throw new DOMException(
      base === undefined ? "The URL is malformed, or relative without a baseUrl" : "The URL is malformed",
      "SyntaxError"
    )
  }
  if (url.protocol === "http:") url.protocol = "ws:"
  else if (url.protocol === "https:") url.protocol = "wss:"
  if (url.protocol !== "ws:" && url.protocol !== "wss:") {
    throw new DOMException(`The scheme of the URL is ${url.protocol} and not ws: or wss:`, "SyntaxError")
  }
  if (url.hash !== "" || url.href.endsWith("#")) throw new DOMException("The URL has a fragment", "SyntaxError")
  return url
}

const toSequence = (protocols: string | Iterable<string> | undefined): ReadonlyArray<string> => {
  const isSequence = typeof protocols === "object" && protocols !== null && Symbol.iterator in protocols
  if (isSequence) return Array.from(protocols, (each) => `${each}`)
  return protocols === undefined ? [] : [`${protocols}`]
}

const checkProtocols = (protocols: ReadonlyArray<string>): void => {
  if (!protocols.every(HeaderField.isToken)) {
    throw new DOMException("A subprotocol is not a token (RFC 9110 §5.6.2)", "SyntaxError")
  }
  const different = new Set(protocols.map((each) => each.toLowerCase()))
  if (different.size < protocols.length) throw new DOMException("A subprotocol is given twice", "SyntaxError")
}

/** Copies bytes, because the caller may change them before they are sent. Web IDL refuses bytes that may change their size. */
const toOutgoing = (data: unknown): OutgoingData => {
  if (typeof data === "string" || data instanceof Blob) return data
  if (isArrayBuffer(data)) return copyOf(data, 0, data.byteLength)
  if (!ArrayBuffer.isView(data)) return `${data}`
  const { buffer, byteLength, byteOffset } = data
  if (!isArrayBuffer(buffer)) throw new TypeError("A view of shared memory cannot be sent")
  return copyOf(buffer, byteOffset, byteLength)
}

/** Also true for a buffer of another realm, for which `instanceof` is false. */
const isArrayBuffer = (data: unknown): data is ArrayBuffer =>
  Object.prototype.toString.call(data) === "[object ArrayBuffer]"

/** A buffer that was transferred has no bytes, and cannot be read. */
const copyOf = (buffer: ArrayBuffer, start: number, size: number): Uint8Array => {
  if (isResizable(buffer)) throw new TypeError("A resizable buffer cannot be sent")
  return size === 0 ? new Uint8Array(0) : new Uint8Array(buffer.slice(start, start + size))
}

const isResizable = (buffer: ArrayBuffer): boolean => Reflect.get(buffer, "resizable") === true

const sizeOf = (data: OutgoingData): number =>
  typeof data === "string" ? Message.size(Message.text(data)) : data instanceof Blob ? data.size : data.length

/** Converts a number as `[Clamp] unsigned short` of Web IDL: to the nearest integer, the even one of two. */
const clamp = (value: number): number => {
  // `Math.max` converts as Web IDL does: it throws a `TypeError` for a BigInt, which `Number` would convert.
  const number = Math.min(Math.max(value, 0), 65535)
  if (Number.isNaN(number)) return 0
  const floor = Math.floor(number)
  return number - floor === 0.5 ? floor + (floor % 2) : Math.round(number)
}
