import * as Frame from "@effect-websocket/protocol/Frame"
import { frames, type Violation } from "@effect-websocket/protocol/FrameDecoder"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import type { Transport } from "../../Transport.js"
import { concat } from "../bytes.js"
import { nothingToUndo } from "../connection/Closables.js"
import { Waiters } from "../Waiters.js"

/**
 * Why no more frames come.
 *
 * - `"Ended"`: the other side sends no more.
 * - `"Reset"`: the connection broke.
 * - `"Dropped"`: the connection is over, and none of the others was reported.
 * - A violation: the bytes of the other side are not frames.
 */
export type Ending = "Ended" | "Reset" | "Dropped" | Violation

// The same in each run, so that the bytes are the same, too.
const maskKey = 0x37fa213d
// A script sends little, so it never waits.
const waterMarks = { high: Number.MAX_SAFE_INTEGER, low: 0 }

/** What a scripted peer reads and writes. It reads all the time, and answers nothing by itself. */
export class Script {
  readonly transport: Transport
  readonly role: "client" | "server"
  private readonly unread: Array<Frame.Frame> = []
  private reason: Ending | undefined = undefined
  private closed = false
  private readonly readers = new Waiters()
  private readonly closers = new Waiters()

  constructor(transport: Transport, role: "client" | "server") {
    this.transport = transport
    this.role = role
  }

  /** Begins to read. */
  start(): void {
    const decode = frames({ role: this.role })
    this.transport.start(
      {
        onChunk: (chunk) => {
          const { frames: found, violation } = decode(chunk)
          this.unread.push(...found)
          this.reason ??= violation
          this.wakeReaders()
        },
        onEof: () => {
          this.reason ??= "Ended"
          this.wakeReaders()
        },
        onDrain: () => {},
        onError: () => {
          this.reason = "Reset"
          this.wakeReaders()
        },
        onClose: () => {
          this.reason ??= "Dropped"
          this.closed = true
          this.wakeReaders()
          this.closers.wakeAll()
        }
      },
      waterMarks
    )
  }

  /** Sends frames in one chunk, masked if this side is a client. */
  send(input: ReadonlyArray<Frame.Frame>): void {
    const mask = this.role === "client" ? maskKey : undefined
    this.transport.write([concat(input.map((frame) => encode(frame, mask)))])
  }

  /** Sends bytes as they are. */
  sendBytes(bytes: Uint8Array): void {
    // A copy, because bytes that the transport has not taken yet must not change.
    this.transport.write([bytes.slice()])
  }

  /** Sends a Close with any code and reason, also if they are not legal. Without a code it has none. */
  sendClose(code: number | undefined, reason: string): void {
    const bytes = new TextEncoder().encode(reason)
    const payload = code === undefined ? bytes : concat([Uint8Array.of(code >>> 8, code), bytes])
    this.send([Frame.make(Opcode.Close, { payload })])
  }

  /** The next frame, which stays. */
  get nextFrame(): Frame.Frame | undefined {
    return this.unread[0]
  }

  /** Takes the next frame. */
  takeFrame(): Frame.Frame | undefined {
    return this.unread.shift()
  }

  /** Why nothing comes after the frames that there are, if it is known. */
  get ending(): Ending | undefined {
    return this.reason
  }

  /** Calls back once there is a frame or an ending, at once if there is one. Returns a function that undoes this. */
  whenReadable(wake: () => void): () => void {
    if (!this.isReadable) return this.readers.add(wake)
    wake()
    return nothingToUndo
  }

  /** Calls back once the transport is closed, at once if it is. Returns a function that undoes this. */
  whenClosed(done: () => void): () => void {
    if (!this.closed) return this.closers.add(done)
    done()
    return nothingToUndo
  }

  private get isReadable(): boolean {
    return this.unread.length > 0 || this.reason !== undefined
  }

  /** Wakes all of them: each looks again, and whoever finds no frame waits again. */
  private wakeReaders(): void {
    if (this.isReadable) this.readers.wakeAll()
  }
}
