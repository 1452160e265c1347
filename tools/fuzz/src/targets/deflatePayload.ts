import * as Connection from "@effect-websocket/protocol/Connection"
import * as Frame from "@effect-websocket/protocol/Frame"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import * as Message from "@effect-websocket/protocol/Message"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import { zlib } from "@effect-websocket/platform/node/NodeZlib"
import * as NodeZlib from "node:zlib"
import { check, same } from "../check.js"
import { cuts, Input } from "../Input.js"
import { Observed } from "../Observed.js"
import { concat, payload } from "../stream.js"

const bits = (input: Input): number => input.pick([15, 8, 9, 10, 12])
const maskKey = () => 0x01020304

const { Z_FILTERED, Z_FIXED, Z_FULL_FLUSH, Z_HUFFMAN_ONLY, Z_RLE, Z_SYNC_FLUSH } = NodeZlib.constants
// The end of a flush, and an empty stored block that is marked as final.
const end = Uint8Array.of(0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff)
const maxMessageBytes = 100_000

const data = (input: Input): Uint8Array => {
  const part = payload(input)
  const times = input.pick([1, 2, 20])
  return concat(Array.from({ length: part.length > 1000 ? 1 : times }, () => part)).subarray(0, maxMessageBytes)
}

/** The last of what was inflated before, which a message may refer to. */
const dictionaryOf = (history: Uint8Array, windowBits: number): { readonly dictionary?: Uint8Array } => {
  const dictionary = history.subarray(-(2 ** windowBits))
  return dictionary.length === 0 ? {} : { dictionary }
}

/** What zlib makes of a payload; `undefined` where it is corrupt, cut off, too large, or has final blocks of its own. */
const reference = (deflated: Uint8Array, windowBits: number, history: Uint8Array): Uint8Array | undefined => {
  const whole = concat([deflated, end])
  try {
    const { buffer, engine } = NodeZlib.inflateRawSync(whole, {
      windowBits: Math.max(windowBits, 9),
      maxOutputLength: maxMessageBytes,
      info: true,
      ...dictionaryOf(history, windowBits)
    }) as unknown as { readonly buffer: Buffer; readonly engine: NodeZlib.InflateRaw }
    return engine.bytesWritten === whole.length ? Uint8Array.from(buffer) : undefined
  } catch {
    return undefined
  }
}

/** Payloads of any kind: what is delivered is what zlib says, and what zlib understands is delivered. */
const receiveAny = (input: Input): void => {
  const settings = PermessageDeflate.resolve({ maxRatio: input.pick([Number.POSITIVE_INFINITY, 1, 100]) })
  const inbound = { windowBits: bits(input), contextTakeover: input.flag() }
  const agreement = {
    extension: PermessageDeflate.format({}),
    outbound: { windowBits: 15, contextTakeover: true },
    inbound
  }
  const connection = Connection.make({
    role: "client",
    maskKey,
    limits: { maxMessageBytes },
    compression: { zlib, settings, agreement }
  })
  const observed = new Observed(connection)
  const cut = cuts(input)
  let history: Uint8Array = new Uint8Array(0)
  for (let count = 0; count < 12 && !input.done && connection.phase === "Open"; count++) {
    const kind = input.below(4)
    const deflated =
      kind === 0
        ? input.take(input.byte())
        : NodeZlib.deflateRawSync(data(input), {
            windowBits: Math.max(9, inbound.windowBits),
            level: input.below(10),
            strategy: inbound.windowBits === 8 ? Z_RLE : input.pick([0, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED]),
            finishFlush: input.pick([Z_SYNC_FLUSH, Z_FULL_FLUSH]),
            ...(inbound.contextTakeover ? dictionaryOf(history, inbound.windowBits) : {})
          }).subarray(0, -4)
    const damaged = Uint8Array.from(deflated)
    const at = input.uint16()
    if (kind === 1 && at < damaged.length) damaged[at] = (damaged[at] ?? 0) ^ (1 << input.below(8))
    const whole = concat([encode(Frame.make(Opcode.Binary, { payload: damaged, rsv: 4 }))])
    const before = observed.seen.length
    for (const piece of cut(whole)) observed.observe(connection.receive(piece, input.flag()))
    observed.observe(connection.settle())
    const [last] = observed.seen.slice(before)
    const expected = reference(damaged, inbound.windowBits, inbound.contextTakeover ? history : new Uint8Array(0))
    if (last?.[0] === "Binary" && last[1] instanceof Uint8Array) {
      if (expected !== undefined) same(Uint8Array.from(last[1]), expected, "what is inflated differs from zlib's")
      history = concat([history, last[1]]).subarray(-65536)
    } else if (settings.maxRatio === Number.POSITIVE_INFINITY && expected !== undefined && damaged.length > 0) {
      check(expected.length > maxMessageBytes, "a message that zlib understands is refused")
    }
  }
  observed.observe(connection.receiveEof())
  observed.checkOutput()
}

/** Two of our own, whatever they have agreed on: every message arrives as it was sent. */
const exchange = (input: Input): void => {
  const settingsOf = () =>
    PermessageDeflate.resolve({
      serverMaxWindowBits: bits(input),
      clientMaxWindowBits: bits(input),
      serverNoContextTakeover: input.flag(),
      clientNoContextTakeover: input.flag(),
      threshold: input.pick([0, 10, 1024]),
      level: 1 + input.below(9),
      memLevel: 1 + input.below(9)
    })
  const clientSettings = settingsOf()
  const serverSettings = settingsOf()
  const accepted = PermessageDeflate.accept(PermessageDeflate.offer(clientSettings), serverSettings)
  const agreed = accepted && PermessageDeflate.check([accepted.extension], clientSettings)
  if (accepted === undefined || agreed === undefined || "_tag" in agreed) return check(false, "no agreement")
  const shared = { limits: { maxMessageBytes: 2 * maxMessageBytes }, maxFrameSize: input.pick([undefined, 1, 100]) }
  const client = Connection.make({
    role: "client",
    maskKey,
    ...shared,
    compression: { zlib, settings: clientSettings, agreement: agreed }
  })
  const server = Connection.make({
    role: "server",
    ...shared,
    limits: { ...shared.limits, maxFragments: 1_000_000 },
    compression: { zlib, settings: serverSettings, agreement: accepted }
  })
  for (let count = 0; count < 12 && !input.done; count++) {
    const text = input.flag()
    const bytes = text ? Buffer.from(Buffer.from(data(input)).toString()) : data(input)
    const compress = input.pick([undefined, true, false])
    // A frame of one byte each would take long, and says no more.
    if (shared.maxFrameSize === 1 && bytes.length > 900) continue
    const [from, to] = input.flag() ? [client, server] : [server, client]
    const refused = from.send(text ? Message.text(bytes.toString()) : Message.binary(bytes), compress)
    check(refused === undefined, "a message is refused")
    const observed = new Observed(to)
    observed.observe(to.receive(concat(from.takeOutput())))
    from.recycleOutput()
    const [seen] = observed.seen
    check(seen !== undefined && seen[0] === (text ? "Text" : "Binary"), `a message is lost: ${String(to.error)}`)
    check(Buffer.from(seen[1] as string).equals(bytes), "a message is changed")
  }
}

/** Compressed messages: from a peer that sends anything, and between two of our own. */
export const deflatePayload = (bytes: Uint8Array): void => {
  const input = new Input(bytes)
  if (input.flag()) receiveAny(input)
  else exchange(input)
}
