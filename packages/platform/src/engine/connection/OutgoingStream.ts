import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { MessageSender, UnderWay } from "./MessageSender.js"
import { toPart } from "./sendable.js"
import type { Sent } from "./Wait.js"

const emptyBytes = new Uint8Array(0)

/**
 * A message that is sent in parts, as the parts come. The parts wait for room whatever the strategy, because none of them
 * can be dropped. A message that has begun cannot be taken back.
 */
export class OutgoingStream implements UnderWay {
  private readonly sender: MessageSender
  // The last part of the message: an empty one of the same kind.
  private end: string | Uint8Array
  private unfinished = false
  private failure: ConnectionError | undefined = undefined
  private stop: (() => void) | undefined = undefined

  constructor(sender: MessageSender, kind: "Text" | "Binary" | undefined) {
    this.sender = sender
    this.end = kind === "Text" ? "" : emptyBytes
  }

  /** Waits for the turn of this message. From then on, all later messages wait for its end. */
  takeTurn(): Sent {
    const begin = () => this.sender.occupy(this)
    return this.sender.isFree ? begin() : this.sender.awaitTurn({ begin }, true)
  }

  /** Calls `stop` when the connection begins to close or ends. Returns an error if nothing can be sent any more. */
  whenRefused(stop: () => void): ConnectionError | undefined {
    this.stop = stop
    return this.sender.refusal
  }

  fail(error: ConnectionError): void {
    // The caller has not begun to send parts, or has been stopped.
    if (this.stop === undefined || this.failure !== undefined) return
    this.failure = error
    this.stop()
  }

  /** Why the caller was stopped, if it was. */
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
   * Ends the turn, however the stream ended. If `code` is given and the message was sent only in part, closes the
   * connection. RFC 6455 §5.4 has no way to take back a message that has begun, and ending it early would make it look
   * complete.
   */
  release(code: number | undefined): void {
    if (this.sender.occupies(this)) this.sender.vacate(this.unfinished ? code : undefined)
  }
}
