import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { MessageSender, UnderWay } from "./MessageSender.js"
import { toPart } from "./sendable.js"
import type { Sent } from "./Wait.js"

const emptyBytes = new Uint8Array(0)

/**
 * A message that is sent in parts, as they come. They wait for room whatever the strategy: none of them can be dropped. A message
 * that has begun cannot be taken back.
 */
export class OutgoingStream implements UnderWay {
  private readonly sender: MessageSender
  // The end of the message: an empty part of its kind.
  private end: string | Uint8Array
  private unfinished = false
  private failure: ConnectionError | undefined = undefined
  private stop: (() => void) | undefined = undefined

  constructor(sender: MessageSender, kind: "Text" | "Binary" | undefined) {
    this.sender = sender
    this.end = kind === "Text" ? "" : emptyBytes
  }

  /** Waits for its turn; from then on all later messages wait for its end. */
  takeTurn(): Sent {
    const begin = () => this.sender.occupy(this)
    return this.sender.isFree ? begin() : this.sender.awaitTurn({ begin }, true)
  }

  /** `stop` is called when the connection begins to close or ends. Returns why nothing can be sent any more. */
  whenRefused(stop: () => void): ConnectionError | undefined {
    this.stop = stop
    return this.sender.refusal
  }

  fail(error: ConnectionError): void {
    // Nobody has begun to send parts.
    if (this.stop === undefined) return
    this.failure ??= error
    this.stop()
  }

  /** Why its caller was stopped, if it was. */
  get error(): ConnectionError | undefined {
    return this.failure
  }

  send(given: string | Uint8Array): Sent {
    const part = toPart(given)
    this.end = typeof part === "string" ? "" : emptyBytes
    if (part.length === 0) return undefined
    const refused = this.sender.sendPart(part, false)
    this.unfinished ||= refused === undefined
    return this.sender.sent(refused, true)
  }

  finish(): Sent {
    const refused = this.sender.sendPart(this.end, true)
    this.unfinished = false
    this.sender.vacate(undefined)
    return this.sender.sent(refused, true)
  }

  /**
   * However it ended. With `code`, the connection is closed if a part of it was sent: RFC 6455 §5.4 has no way to take back what
   * has begun, and to end it would make it look whole.
   */
  release(code: number | undefined): void {
    if (this.sender.occupies(this)) this.sender.vacate(this.unfinished ? code : undefined)
  }
}
