/** The same bytes to our connection and to the receiver of `ws`: the same messages and the same verdict. */
import * as Connection from "@effect-websocket/protocol/Connection"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Role } from "@effect-websocket/protocol/FrameDecoder"
import type { EventEmitter } from "node:events"
import * as Ws from "ws"
import { Finding, same } from "../check.js"
import { cuts, Input } from "../Input.js"
import { anyStream, concat } from "../stream.js"

// The types of `ws` leave it out. `_write` is what a Writable calls; without compression everything happens within the call.
interface Receiver extends EventEmitter {
  _write(chunk: Buffer, encoding: string, done: (error?: Error) => void): void
}
const { Receiver } = Ws as unknown as {
  readonly Receiver: new (options: {
    readonly isServer: boolean
    readonly maxPayload: number
    readonly maxFragments: number
  }) => Receiver
}

interface Verdict {
  readonly seen: ReadonlyArray<readonly [string, Buffer]>
  /** The code of the Close that would be sent, or that was received; `undefined` while the connection is open. */
  readonly code: number | undefined
  readonly closed: boolean
  readonly why: string
}

const receiverVerdict = (
  options: ConstructorParameters<typeof Receiver>[0],
  pieces: ReadonlyArray<Buffer>
): Verdict => {
  const seen: Array<readonly [string, Buffer]> = []
  let failure: { readonly code: number; readonly why: string } | undefined
  let closed: number | undefined
  const receiver = new Receiver(options)
  receiver.on("message", (data: Buffer, binary: boolean) => seen.push([binary ? "Binary" : "Text", Buffer.from(data)]))
  receiver.on("ping", (data: Buffer) => seen.push(["Ping", Buffer.from(data)]))
  receiver.on("pong", (data: Buffer) => seen.push(["Pong", Buffer.from(data)]))
  receiver.on("conclude", (code: number, reason: Buffer) => {
    closed = code
    seen.push(["Close", Buffer.from(reason)])
  })
  for (const piece of pieces) {
    if (failure !== undefined || closed !== undefined) break
    receiver._write(piece, "buffer", (error) => {
      if (error === undefined) return
      const symbol = Object.getOwnPropertySymbols(error).find((each) => each.description === "status-code")
      const code: unknown = symbol === undefined ? undefined : Reflect.get(error, symbol)
      const name = "code" in error ? String(error.code) : error.message
      failure = { code: typeof code === "number" ? code : 0, why: name }
    })
  }
  return { seen, code: failure?.code ?? closed, closed: closed !== undefined, why: failure?.why ?? "" }
}

const codeOf = (error: ConnectionError): number | undefined =>
  error._tag === "Protocol_error" ? error.closeCode : error._tag === "Payload_too_large" ? 1009 : undefined

const ourVerdict = (options: Connection.Options, pieces: ReadonlyArray<Buffer>): Verdict => {
  const connection = Connection.make(options)
  const seen: Array<readonly [string, Buffer]> = []
  let verdict: Omit<Verdict, "seen"> = { code: undefined, closed: false, why: "" }
  for (const piece of pieces) {
    for (const event of [...connection.receive(piece), ...connection.settle()]) {
      if (event._tag !== "Ended") {
        if ("data" in event) seen.push([event._tag, Buffer.from(event.data as string)])
        continue
      }
      const { error } = event
      if (error._tag !== "Connection_closed") verdict = { code: codeOf(error), closed: false, why: error.message }
      else {
        seen.push(["Close", Buffer.from(error.reason)])
        verdict = { code: error.code, closed: true, why: "" }
      }
    }
    connection.takeOutput()
    connection.recycleOutput()
  }
  return { seen, ...verdict }
}

interface Difference {
  readonly reason: string
  readonly applies: (ours: Verdict, theirs: Verdict) => boolean
}

/** Where the two differ on purpose. In each, what was delivered by one is the beginning of what the other delivered. */
export const differences: ReadonlyArray<Difference> = [
  {
    reason: "We refuse a length that is not in its shortest form (RFC 6455 §5.2: MUST); ws takes it.",
    applies: (ours) => ours.why.startsWith("A length is not in its shortest form")
  },
  {
    reason:
      "We fail in the chunk in which UTF-8 breaks (§8.1), ws when the message is complete, or another error comes first.",
    applies: (ours) => ours.code === 1007
  },
  {
    reason:
      "A message of too many fragments is 1009 with us, on the header of the frame; with ws 1008, behind its payload.",
    applies: (ours, theirs) =>
      ours.why.includes("limits.maxFragments") &&
      (theirs.code === undefined || theirs.why === "WS_ERR_TOO_MANY_BUFFERED_PARTS")
  },
  {
    reason: "Of two faults in one header, such as its mask and its length, either may be named.",
    applies: (ours, theirs) => !ours.closed && !theirs.closed && [ours.code, theirs.code].sort().join() === "1002,1009"
  }
]

const startsWith = (longer: Verdict["seen"], shorter: Verdict["seen"]): boolean =>
  shorter.every(([kind, data], i) => longer[i]?.[0] === kind && longer[i]?.[1].equals(data) === true)

export const receiver = (bytes: Uint8Array): void => {
  const input = new Input(bytes)
  const role = input.pick<Role>(["client", "server"])
  const maxMessageBytes = input.pick([1024 * 1024, 1, 5, 125, 126, 1000, 65535])
  const maxFragments = input.pick([1024, 1, 2, 5])
  const cut = cuts(input)
  // Headers are judged at different places, so the last one is made whole.
  const sent = concat([anyStream(input, role), new Uint8Array(16)])
  const pieces = () => cut(sent).map((piece) => Buffer.from(piece))

  const limits = { maxMessageBytes, maxFragments }
  const ours = ourVerdict(role === "client" ? { role, limits, maskKey: () => 0 } : { role, limits }, pieces())
  const theirs = receiverVerdict({ isServer: role === "server", maxPayload: maxMessageBytes, maxFragments }, pieces())

  const agree = ours.code === theirs.code && ours.closed === theirs.closed
  if (agree && ours.seen.length === theirs.seen.length) {
    same(ours.seen, theirs.seen, "the messages differ")
    return
  }
  const [longer, shorter] = ours.seen.length > theirs.seen.length ? [ours, theirs] : [theirs, ours]
  if (!startsWith(longer.seen, shorter.seen) || !differences.some(({ applies }) => applies(ours, theirs))) {
    throw new Finding(`${show("we", ours)}; ${show("ws", theirs)}`)
  }
}

const show = (who: string, { closed, code, seen, why }: Verdict): string =>
  `${who}: ${seen.map(([kind, data]) => `${kind} ${data.toString("hex").slice(0, 40)}`).join(", ")} ${closed ? "closed" : ""} ${code} ${why}`
