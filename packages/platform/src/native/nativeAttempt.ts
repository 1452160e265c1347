import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import { attempted, Defect } from "../engine/Defect.js"
import type { NativeServerSocket } from "../engine/native/NativeSocket.js"
import { NativeServerTransport } from "../engine/native/NativeServerTransport.js"
import type { UpgradeAttempt } from "../engine/server/UpgradeAttempt.js"

/** The part of a `Request` of `fetch` that is used here. */
export interface FetchRequest {
  readonly method: string
  readonly url: string
  readonly headers: {
    get(name: string): string | null
    forEach(each: (value: string, name: string) => void): void
  }
  /** Aborted when the client goes away. */
  readonly signal?: {
    readonly aborted: boolean
    addEventListener(type: "abort", listener: () => void): void
    removeEventListener(type: "abort", listener: () => void): void
  }
}

/** What the library decided about an accepted request. The host sets the headers of the handshake itself. */
export interface NativeAnswer {
  /** Those of the app, without those of the handshake. */
  readonly headers: HeaderRecord
  /** The subprotocol that was selected. */
  readonly protocol: string | undefined
}

/** The server's end of a new WebSocket, and what the host's handler of requests returns. */
export interface NativeUpgraded<Answer> {
  readonly socket: NativeServerSocket
  readonly answer: Answer
}

/** A host that hands over its requests, and how it answers them. */
export interface NativeHost<Answer> {
  /** Upgrades the request. It may throw: the request then gets 500 if it can still get an answer. */
  readonly upgrade: (answer: NativeAnswer) => NativeUpgraded<Answer>
  /** Answers without an upgrade. It may throw for a status that it cannot send. */
  readonly respond: (status: number, headers: HeaderRecord, body: string) => Answer
}

/**
 * A request to upgrade that a host has handed over as one of `fetch`. It calls `done` once with what the host's handler
 * returns. This may be in a later turn. It is so at once if the client is gone, although nobody gets that answer.
 */
export const nativeAttempt = <Answer>(
  request: FetchRequest,
  remoteAddress: string | undefined,
  host: NativeHost<Answer>,
  done: (answer: Answer) => void
): UpgradeAttempt => {
  // Read only for a request that waits, because Deno prints a warning about it.
  let signal: FetchRequest["signal"]
  let stopWatching = (): void => {}
  let isAnswered = false
  const answer = (make: () => Answer): void => {
    if (isAnswered) return
    isAnswered = true
    stopWatching()
    const made = attempted(make)
    done(made instanceof Defect ? host.respond(500, {}, "The server cannot send its answer") : made)
    if (made instanceof Defect) throw made.cause
  }
  const forget = (): void => answer(() => host.respond(503, {}, "The client is gone"))
  return {
    request: {
      method: request.method,
      url: targetOf(request.url),
      // Hosts do not tell which version of HTTP/1 it is.
      httpVersion: "1.1",
      headers: headerRecordOf(request.headers)
    },
    remoteAddress,
    isGone: () => {
      if (signal?.aborted !== true) return false
      forget()
      return true
    },
    onGone: (listener) => {
      if (isAnswered) return
      stopWatching()
      const gone = (): void => {
        listener()
        forget()
      }
      const watched = (signal = request.signal)
      if (watched?.aborted === true) return gone()
      watched?.addEventListener("abort", gone)
      stopWatching = () => watched?.removeEventListener("abort", gone)
    },
    upgrade: (headers) => {
      let socket: NativeServerSocket | undefined
      answer(() => {
        const upgraded = host.upgrade(answerOf(headers))
        socket = upgraded.socket
        return upgraded.answer
      })
      if (socket === undefined) throw new Error("The request was answered already")
      return new NativeServerTransport(socket, remoteAddress)
    },
    reject: (status, headers, body) => answer(() => host.respond(status, headers, body))
  }
}

/** The target of a request: the path and the query of its URL. */
export const targetOf = (url: string): string => {
  const { pathname, search } = new URL(url)
  return pathname + search
}

export const headerRecordOf = (headers: FetchRequest["headers"]): HeaderRecord => {
  const record: Record<string, string> = {}
  headers.forEach((value, name) => {
    record[name] = value
  })
  return record
}

const ofHandshake = new Set(["upgrade", "connection", "sec-websocket-accept", "sec-websocket-extensions"])
const subprotocol = "sec-websocket-protocol"

/** What the host needs of the headers of a 101. */
export const answerOf = (headers: HeaderRecord): NativeAnswer => {
  const kept: Record<string, string | ReadonlyArray<string>> = {}
  let protocol: string | undefined
  for (const [name, value] of Object.entries(headers)) {
    const key = name.toLowerCase()
    if (key === subprotocol) protocol = String(value)
    else if (value !== undefined && !ofHandshake.has(key)) kept[name] = value
  }
  return { headers: kept, protocol }
}

/** The headers and the body of a refusal, for the constructor of a `Response`. */
export const refusalOf = (
  status: number,
  headers: HeaderRecord,
  body: string
): { readonly body: string | null; readonly headers: Array<[string, string]> } => {
  const lines = headerLines(headers)
  const isTyped = lines.some(([name]) => name.toLowerCase() === "content-type")
  return {
    // RFC 9110 §15.4.5: this one has no content.
    body: status === 304 ? null : body === "" ? "" : `${body}\n`,
    headers: isTyped ? lines : [["content-type", "text/plain; charset=utf-8"], ...lines]
  }
}

/** Headers as pairs, one for each value. */
export const headerLines = (headers: HeaderRecord): Array<[string, string]> =>
  Object.entries(headers).flatMap(([name, value]) =>
    value === undefined
      ? []
      : typeof value === "string"
        ? [[name, value] satisfies [string, string]]
        : value.map((each): [string, string] => [name, each])
  )

/** Whether a request asks for an upgrade to a WebSocket. */
export const asksForUpgrade = ({ headers }: FetchRequest): boolean =>
  (headers.get("upgrade") ?? "").split(",").some((token) => token.trim().toLowerCase() === "websocket")

/** The same, or whether it was meant to. The engine then says what is wrong with it. */
export const meansUpgrade = (request: FetchRequest): boolean =>
  asksForUpgrade(request) || request.headers.get("sec-websocket-key") !== null
