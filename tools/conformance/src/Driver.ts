/**
 * Runs cases against an endpoint that echoes every message, over TCP and without any WebSocket library. The driver connects to
 * a server, and listens for a client.
 *
 * After the bytes of a case, the driver sends a message of its own. The echo of this message shows that the connection is still
 * open, and that the endpoint has processed everything before it. So the driver never has to wait for a fixed time.
 */
import { createHash } from "node:crypto"
import { constants, inflateRawSync } from "node:zlib"
import { headerOf, type Case, type ErrorFields, type Exchange, type Head } from "./Clause.js"
import type { Role } from "./Role.js"
import { upgradeRequest } from "./clauses/make.js"
import { close, concat, decode, fault, opcodes, sentTo, show, text, type Received } from "./Frame.js"
import { connect, NoAnswer, type Listener, type Peer } from "./Peer.js"

export interface ServerTarget {
  readonly role: "server"
  readonly name: string
  /** The URL of the server, with compression and without. The server should support the subprotocol `superchat`. */
  readonly url: (deflate: boolean) => URL
}

export interface ClientTarget {
  readonly role: "client"
  readonly name: string
  readonly listener: Listener
  /**
   * Makes the client connect once, with the subprotocols `chat` and `superchat`, and echo until the end. Returns its typed
   * error, if there is one. Without this function, the client connects by itself, again and again.
   */
  readonly dial: ((url: URL, deflate: boolean) => Promise<ErrorFields | undefined>) | undefined
}

export type Target = ServerTarget | ClientTarget

/** The result of a case: ok, what was seen instead, or skipped if the case does not apply to the target. */
export type Verdict = { readonly _tag: "Ok" | "Skipped" } | { readonly _tag: "Deviates"; readonly seen: string }

const ok: Verdict = { _tag: "Ok" }
const skipped: Verdict = { _tag: "Skipped" }
const deviates = (seen: string): Verdict => ({ _tag: "Deviates", seen })
const verdictOf = (seen: string | undefined): Verdict => (seen === undefined ? ok : deviates(seen))

export const run = async (testCase: Case, target: Target): Promise<Verdict> => {
  try {
    return await (target.role === "server" ? runServer(testCase, target) : runClient(testCase, target))
  } catch (error) {
    if (error instanceof NoAnswer) return deviates(error.message)
    throw error
  }
}

const noClientContext = "client_no_context_takeover"
const path = "/chat?room=1"

const runServer = async (testCase: Case, target: ServerTarget): Promise<Verdict> => {
  if (testCase.kind !== "exchange" && testCase.kind !== "request") return skipped
  const deflate = testCase.kind === "exchange" ? testCase.deflate !== undefined : testCase.deflate
  if (deflate && !(await compresses(target))) return skipped
  const peer = await connect(target.url(deflate))
  try {
    const offer = testCase.kind === "exchange" ? testCase.deflate : undefined
    peer.write(
      testCase.kind === "request"
        ? testCase.head
        : upgradeRequest(offer === undefined ? {} : { "Sec-WebSocket-Extensions": offer }, `GET ${path} HTTP/1.1`)
    )
    const answer = await peer.head()
    const status = Number(answer?.line.split(" ")[1] ?? 0)
    if (testCase.kind === "exchange") {
      if (answer === undefined || status !== 101) return deviates(`the request is answered with ${status}`)
      const accepted = headerOf(answer, "sec-websocket-extensions")
      if (offer !== undefined && accepted === undefined) return skipped
      const asked = offer?.includes(noClientContext)
      if (asked === false && accepted?.includes(noClientContext)) return skipped
      return verdictOf(await exchange(testCase, peer, "server", accepted))
    }
    if (answer === undefined) return deviates("no answer")
    const refused = testCase.status >= 400 && status >= 400 && status < 500
    if (status !== testCase.status && !refused) return deviates(`status ${status}`)
    for (const [name, expected] of Object.entries(testCase.headers)) {
      const value = headerOf(answer, name)
      const wrong =
        typeof expected === "function"
          ? expected(value)
          : value === expected
            ? undefined
            : `${name} is ${value ?? "missing"}`
      if (wrong !== undefined) return deviates(wrong)
    }
    if (status === 101) return verdictOf(await stays(peer, "server"))
    // Without an upgrade, the bytes are not frames: the connection ends or goes on as HTTP.
    return ok
  } finally {
    peer.destroy()
  }
}

const compressing = new WeakMap<ServerTarget, Promise<boolean>>()

/** Whether a server accepts an offer of compression at all. */
const compresses = (target: ServerTarget): Promise<boolean> => {
  const known = compressing.get(target)
  if (known !== undefined) return known
  const asked = (async () => {
    const peer = await connect(target.url(true))
    try {
      peer.write(upgradeRequest({ "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" }))
      const answer = await peer.head()
      return answer !== undefined && headerOf(answer, "sec-websocket-extensions") !== undefined
    } finally {
      peer.destroy()
    }
  })()
  compressing.set(target, asked)
  return asked
}

const runClient = async (testCase: Case, target: ClientTarget): Promise<Verdict> => {
  if (testCase.kind === "request") return skipped
  const { listener } = target
  const url = new URL(`ws://127.0.0.1:${listener.port}${path}`)
  const deflate = testCase.kind === "exchange" ? testCase.deflate !== undefined : testCase.deflate
  const heads: Array<Head> = []
  const connections = testCase.kind === "observation" ? testCase.connections : 1
  for (let i = 0; i < connections; i++) {
    const dialled = target.dial?.(url, deflate)
    const peer = await listener.accept()
    let verdict: Verdict | undefined
    try {
      const request = await peer.head()
      if (request === undefined) return deviates("no request")
      heads.push(request)
      if (deflate && headerOf(request, "sec-websocket-extensions") === undefined) return skipped
      verdict = await answer(testCase, peer, request)
    } finally {
      peer.destroy()
    }
    const error = await dialled
    if (verdict !== undefined) {
      if (verdict._tag === "Ok" && testCase.kind !== "observation" && target.dial !== undefined) {
        return verdictOf(compare(error, testCase))
      }
      return verdict
    }
  }
  return testCase.kind === "observation" ? verdictOf(testCase.check(heads, target.dial && url)) : ok
}

/** `undefined` if the case is not over. */
const answer = async (testCase: Case, peer: Peer, request: Head): Promise<Verdict | undefined> => {
  const accept = acceptValue(headerOf(request, "sec-websocket-key") ?? "")
  const offered = (headerOf(request, "sec-websocket-protocol") ?? "").split(",").map((name) => name.trim())
  const protocol = offered.includes("superchat") ? "superchat" : undefined
  if (testCase.kind === "response") {
    const head = testCase.head(accept, protocol)
    peer.write(head)
    if (testCase.opens) return verdictOf(await stays(peer, "client"))
    // After another status, the message would be a part of the body.
    if (head.startsWith("HTTP/1.1 101")) peer.write(sentTo("client", [sentinel]))
    const frame = await peer.frame()
    return verdictOf(frame === undefined ? undefined : "it is open")
  }
  const extension = testCase.kind === "exchange" ? testCase.deflate : undefined
  peer.write(
    [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${accept}`,
      ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
      ...(extension === undefined ? [] : [`Sec-WebSocket-Extensions: ${answerTo(request, extension)}`]),
      "\r\n"
    ].join("\r\n")
  )
  if (testCase.kind === "exchange") return verdictOf(await exchange(testCase, peer, "client", extension))
  const seen = await stays(peer, "client")
  return seen === undefined ? undefined : deviates(seen)
}

/** The answer to an offer: with the window that the client asks for, if it does. */
const answerTo = (request: Head, extension: string): string => {
  const bits = /server_max_window_bits=(\d+)/.exec(headerOf(request, "sec-websocket-extensions") ?? "")?.[1]
  const own = extension.replace("; client_max_window_bits", "")
  return bits === undefined ? own : `${own}; server_max_window_bits=${bits}`
}

const acceptValue = (forKey: string): string =>
  createHash("sha1").update(`${forKey}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")

const compare = (
  error: ErrorFields | undefined,
  testCase: Exclude<Case, { kind: "observation" }>
): string | undefined => {
  const expected = testCase.kind === "exchange" ? testCase.end?.error : testCase.error
  if (expected === undefined || error === undefined) return undefined
  for (const [name, value] of Object.entries(expected)) {
    if (error[name] !== value) return `${name} of the error is ${String(error[name])}`
  }
  return undefined
}

const sentinel = text("the driver's own")

/** Checks that the connection is open and echoes, then closes it. */
const stays = async (peer: Peer, role: Role): Promise<string | undefined> => {
  peer.write(sentTo(role, [sentinel]))
  const echoed = await peer.frame()
  if (echoed === undefined) return "the connection ends"
  return show(echoed) === show(sentinel) || echoed.rsv !== 0 ? leave(peer, role) : `it sends ${show(echoed)}`
}

const leave = async (peer: Peer, role: Role): Promise<string | undefined> => {
  peer.write(sentTo(role, [close(1000)]))
  for (;;) {
    const frame = await peer.frame()
    if (frame === undefined) return "a Close is not answered"
    if (frame.opcode === opcodes.close) break
  }
  // RFC 6455 §7.1.1: the server ends first.
  if (role === "server") await peer.ended()
  peer.end()
  if (role === "client") await peer.ended()
  return undefined
}

const exchange = async (
  { end, input, inspect, messages, pongs }: Exchange,
  peer: Peer,
  role: Role,
  extension: string | undefined
): Promise<string | undefined> => {
  const deflate = extension !== undefined
  const takeover = role === "server" ? "server_no_context_takeover" : "client_no_context_takeover"
  const inflate = inflater(extension?.includes(takeover) === false)
  const bytes = input(role)
  peer.write(endsWithClose(bytes) ? bytes : concat([bytes, sentTo(role, [sentinel])]))

  const written: Array<Received> = []
  const echoed: Array<string> = []
  const ponged: Array<string> = []
  let parts: Array<Received> = []
  let code: number | undefined
  let open = false
  for (;;) {
    const frame = await peer.frame()
    if (frame === undefined) break
    written.push(frame)
    const wrong = fault(frame, role, deflate)
    if (wrong !== undefined) return `it sends ${wrong}`
    if (frame.opcode === opcodes.close) {
      const { payload } = frame
      code = payload.length < 2 ? 1005 : Buffer.from(payload).readUInt16BE()
      peer.write(sentTo(role, [close(code === 1005 ? undefined : code)]))
      break
    }
    if (frame.opcode === opcodes.pong) ponged.push(show(frame))
    if (frame.opcode >= 8) continue
    parts.push(frame)
    if (!frame.fin) continue
    const [first] = parts
    const payload = concat(parts.map((part) => part.payload))
    parts = []
    const message = show({ opcode: first!.opcode, payload: first!.rsv === 0 ? payload : inflate(payload) })
    if (message === show(sentinel)) {
      open = true
      break
    }
    echoed.push(message)
  }

  const expected = messages.map(show)
  if (end === undefined) {
    if (!open) return code === undefined ? "the connection ends" : `Close ${code}`
  } else {
    if (open) return "the connection stays open"
    if (code === undefined) return "the connection ends without a Close"
    if (!end.codes.includes(code)) return `Close ${code}`
  }
  if (!isSame(echoed, expected)) return `${echoed.length} of ${expected.length} messages come back`
  if (!isSame(ponged, pongs.map(show))) return `${ponged.length} pongs for ${pongs.length} pings`
  const wrong = inspect?.(written)
  if (wrong !== undefined) return wrong
  if (open) return leave(peer, role)
  if (role === "server") await peer.ended()
  peer.end()
  if (role === "client") await peer.ended()
  return undefined
}

const isSame = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i])

/** If the input already has a Close, the driver sends nothing after it. */
const endsWithClose = (input: Uint8Array): boolean => {
  let rest = Buffer.from(input)
  for (;;) {
    const frame = decode(rest)
    if (frame === undefined) return false
    if (frame.opcode === opcodes.close && frame.fin) return true
    rest = rest.subarray(frame.size)
  }
}

/** Inflates one message after another. With context takeover, each one uses the data of those before it. */
export const inflater = (takeover: boolean): ((payload: Uint8Array) => Uint8Array) => {
  let dictionary = Buffer.alloc(0)
  return (payload) => {
    const data = inflateRawSync(concat([payload, Uint8Array.of(0, 0, 255, 255)]), {
      finishFlush: constants.Z_SYNC_FLUSH,
      ...(dictionary.length > 0 ? { dictionary } : {})
    })
    if (takeover) dictionary = Buffer.concat([dictionary, data]).subarray(-32768)
    return data
  }
}
