import { localProtocolError, type ProtocolError } from "../Errors.js"
import * as Opcode from "../Opcode.js"
import { encodeText } from "./Encodings.js"
import { Utf8Validator } from "./Utf8Validator.js"

/**
 * The message that an app sends in fragments (RFC 6455 §5.4): either in parts (`sendFragment`) or in frames (`sendFrame`). The
 * two are never mixed within one message, because parts may hold back half of a character.
 */
export class FragmentedMessage {
  // Continuation if no message is under way.
  private opcode: number = Opcode.Continuation
  private inFrames = false
  // Whether a frame had a reserved bit, so that only the app knows what the payload means.
  private opaque = false
  private heldSurrogate = ""
  private validator: Utf8Validator | undefined = undefined

  /** Whether a message has begun and has not ended. */
  get underWay(): boolean {
    return this.opcode !== Opcode.Continuation
  }

  /** Why a text or binary part may not be sent now. */
  refusePart(opcode: number): ProtocolError | undefined {
    if (!this.underWay) return undefined
    if (this.opcode !== opcode) {
      return localProtocolError("The parts of one message are either all text or all binary", "RFC 6455 §5.4")
    }
    return this.inFrames
      ? localProtocolError("A message that began with a frame must continue with frames", "RFC 6455 §5.4")
      : undefined
  }

  /** Records a part that `refusePart` allowed and returns its payload. */
  addPart(opcode: number, data: string | Uint8Array, fin: boolean): Uint8Array {
    this.inFrames = false
    this.opcode = fin ? Opcode.Continuation : opcode
    if (typeof data !== "string") return data
    // A character outside the basic plane may be cut in two; its first half waits for the second.
    const text = this.heldSurrogate + data
    const cut = !fin && isHighSurrogate(text.charCodeAt(text.length - 1)) ? text.length - 1 : text.length
    this.heldSurrogate = text.slice(cut)
    return encodeText(text.slice(0, cut))
  }

  /** Records a data frame, or says why it may not be sent now and changes nothing. */
  addFrame(opcode: number, payload: Uint8Array, fin: boolean, rsv: number): ProtocolError | undefined {
    const { underWay } = this
    if (opcode === Opcode.Continuation) {
      if (!underWay) return localProtocolError("A continuation frame has no message to continue", "RFC 6455 §5.4")
      if (!this.inFrames)
        return localProtocolError("A message that began in parts must continue in parts", "RFC 6455 §5.4")
    } else if (underWay) {
      return localProtocolError("A new message begins inside a fragmented one", "RFC 6455 §5.4")
    }
    const message = underWay ? this.opcode : opcode
    const opaque = rsv !== 0 || (underWay && this.opaque)
    if (message === Opcode.Text && !opaque) {
      // Checked on a copy, so that a refused frame changes nothing.
      const validator = this.validator?.copy() ?? new Utf8Validator()
      if (!validator.push(payload, 0, payload.length) || (fin && !validator.complete)) {
        return localProtocolError("A text message is not UTF-8", "RFC 6455 §8.1")
      }
      this.validator = validator
    } else {
      this.validator = undefined
    }
    this.inFrames = true
    this.opaque = opaque
    this.opcode = fin ? Opcode.Continuation : message
    return undefined
  }
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00
