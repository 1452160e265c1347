import * as Connection from "@effect-websocket/protocol/Connection"
import { ConnectionClosed, IoError } from "@effect-websocket/protocol/Errors"
import * as Frame from "@effect-websocket/protocol/Frame"
import type { Role } from "@effect-websocket/protocol/FrameDecoder"
import * as Message from "@effect-websocket/protocol/Message"
import { check, same } from "../check.js"
import { cuts, Input, type Cuts } from "../Input.js"
import { Observed, type Seen } from "../Observed.js"
import { anyStream, concat, payload, stream } from "../stream.js"

const options = (input: Input): Connection.Options => {
  const role = input.pick<Role>(["client", "server"])
  const shared = {
    limits: {
      maxMessageBytes: input.pick([1024 * 1024, 1, 5, 125, 126, 1000, 65535]),
      maxFrameBytes: input.pick([Number.MAX_SAFE_INTEGER, 1, 125, 65535]),
      maxFragments: input.pick([1024, 1, 2, 5]),
      maxBufferedControlFrames: input.pick([32, 1, 2])
    },
    maxFrameSize: input.pick([undefined, 1, 2, 125, 1000]),
    maxCopiedBytes: input.pick([undefined, 1, 100]),
    delivery: input.pick(["messages", "streams", "frames"] as const),
    answerPings: input.below(4) !== 3,
    answerClose: input.below(4) !== 3
  }
  let key = 0x12345678
  const maskKey = () => (key = (Math.imul(key, 1664525) + 1013904223) >>> 0)
  return role === "server" ? { role, ...shared } : { role, ...shared, maskKey }
}

const texts = ["", "hello", "\ud800", "\udc00", "世界", "🎉".repeat(50)] as const

// Without what is large: in frames of one byte it takes long, and says no more.
const data = (input: Input): string | Uint8Array =>
  input.flag() ? input.pick(texts) : payload(input).subarray(0, 1000)

/** One thing that the edge or the app does. */
const step = (input: Input, connection: Connection.Connection, observed: Observed): void => {
  const { error: terminal, refusal } = connection
  const sent = (error: object | undefined) => {
    check(terminal === undefined || error === terminal, "sending does not fail with the terminal error")
    check(refusal === undefined || error !== undefined, "sending does not fail while it is refused")
  }
  const kind = input.below(16)
  switch (kind) {
    case 0:
      observed.observe(connection.settle())
      break
    case 1:
      observed.takeOutput()
      break
    case 2: {
      const message = data(input)
      sent(connection.send(typeof message === "string" ? Message.text(message) : Message.binary(message)))
      break
    }
    case 3:
      sent(connection.sendFragment(data(input), input.flag()))
      break
    case 4: {
      const fin = input.flag()
      const rsv = input.below(16) === 15 ? input.below(8) : 0
      connection.sendFrame(Frame.make(input.below(16), { fin, rsv, payload: payload(input) }))
      break
    }
    case 5:
      sent(connection.ping(payload(input)))
      break
    case 6:
      sent(connection.pong(payload(input)))
      break
    case 7: {
      const code = input.pick([undefined, 1000, 1001, 1005, 3000, 999, 65536])
      connection.close(code, input.flag() ? "bye" : "x".repeat(input.byte()))
      break
    }
    case 8: {
      const error = new IoError({ reason: "Timeout", operation: "heartbeat" })
      if (input.below(4) === 3) observed.observe(connection.fail(1011, error))
      break
    }
    case 9:
      if (input.below(4) === 3) {
        observed.observe(
          connection.abort(new ConnectionClosed({ code: 1006, reason: "", initiator: "local", clean: false }))
        )
      }
      break
    case 10:
      if (input.below(4) === 3) observed.observe(connection.receiveEof())
      break
    default: {
      const bytes = stream(input, connection.role, 4)
      const owned = input.flag()
      const copy = bytes.slice()
      observed.observe(connection.receive(bytes, owned))
      if (!owned) same(bytes, copy, "a borrowed chunk is changed")
      else if (!connection.keepsChunk) bytes.fill(0xaa)
    }
  }
}

/** Random use: nothing throws, events and output are legal, and the end is final. */
const useIt = (input: Input, made: Connection.Options): void => {
  const connection = Connection.make(made)
  const observed = new Observed(connection)
  for (let count = 0; count < 64 && !input.done; count++) step(input, connection, observed)
  observed.observe(connection.receiveEof())
  check(connection.phase === "Closed" && connection.outputEnded, "the end of input does not end the connection")
  same(connection.receiveEof(), [], "the end comes twice")
  same(connection.receive(Uint8Array.of(0x81, 0)), [], "something is received behind the end")
  check(connection.send(Message.text("late")) === connection.error, "something can be sent behind the end")
  observed.checkOutput()
}

/** Whole messages of parts. Of one that fails, more or less may have been handed over, so it is left out. */
const joined = (events: ReadonlyArray<Connection.Event>): ReadonlyArray<Seen> => {
  const messages: Array<Seen> = []
  let parts: Array<Uint8Array> = []
  for (const event of events) {
    if (event._tag !== "TextPart" && event._tag !== "BinaryPart") continue
    check(event.first === (parts.length === 0), "the first part is not marked")
    parts.push(Buffer.from(event.data))
    if (!event.final) continue
    messages.push([event._tag, concat(parts)])
    parts = []
  }
  return messages
}

/** The same bytes in other pieces: the same events. */
const cutIt = (input: Input, made: Connection.Options, cut: Cuts): void => {
  const sent = anyStream(input, made.role)
  const receiveAll = (pieces: ReadonlyArray<Uint8Array>, owned: boolean): ReadonlyArray<Seen> => {
    const connection = Connection.make(made)
    const observed = new Observed(connection)
    const events: Array<Connection.Event> = []
    for (const piece of pieces) {
      const received = [...connection.receive(piece, owned), ...connection.settle()]
      if (owned && !connection.keepsChunk) piece.fill(0xaa)
      observed.observe(received)
      observed.takeOutput()
      events.push(...received)
    }
    observed.observe(connection.receiveEof())
    observed.checkOutput()
    return [...observed.seen.filter(([kind]) => !kind.endsWith("Part")), ...joined(events)]
  }
  same(receiveAll(cut(sent), false), receiveAll([sent.slice()], true), "cutting changes the events")
}

/** The state machine of a connection, in both roles and in all forms of delivery. */
export const connection = (bytes: Uint8Array): void => {
  const input = new Input(bytes)
  const made = options(input)
  const cut = cuts(input)
  if (input.flag()) useIt(input, made)
  else cutIt(input, made, cut)
}
