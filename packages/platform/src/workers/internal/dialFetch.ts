import { HandshakeRejected, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import { closeQuietly, connectError, notOffered } from "../../engine/native/dialNative.js"
import { joinedHeaders } from "../../engine/native/joinedHeaders.js"
import type { NativeDial, NativeDialed, NativeRequest, NativeSocket } from "../../engine/native/NativeSocket.js"
import { answerClose } from "./answerClose.js"

interface BodyReader {
  read(): Promise<{ readonly value?: Uint8Array | undefined }>
  cancel(): Promise<void>
}

/** What `fetch` of Workers answers to an upgrade request. */
interface UpgradeResponse {
  readonly status: number
  readonly headers: {
    get(name: string): string | null
    forEach(each: (value: string, name: string) => void): void
  }
  readonly webSocket: (NativeSocket & { accept(): void }) | null
  readonly body: { getReader(): BodyReader } | null
}

interface UpgradeInit {
  readonly headers: Record<string, string>
  readonly redirect: "manual"
  readonly signal: AbortSignal
}

declare const fetch: (url: string, init: UpgradeInit) => Promise<UpgradeResponse>

// How much of a rejected answer's body is kept.
const maxBodyBytes = 64 * 1024

/** Opens a WebSocket by an upgrade request with `fetch`, which tells the status of a refusal. */
export const dialFetch: NativeDial = (request, done) => {
  const controller = new AbortController()
  let dropped = false
  const report = (dialed: NativeDialed): void => {
    if (!dropped) done(dialed)
    else if (dialed._tag === "Opened") closeQuietly(dialed.opened.socket)
  }
  upgrade(request, controller.signal).then(report, (cause: unknown) =>
    report({ _tag: "Failed", error: connectError(cause) })
  )
  return () => {
    dropped = true
    controller.abort()
  }
}

const upgrade = async (request: NativeRequest, signal: AbortSignal): Promise<NativeDialed> => {
  const { headers, protocols, url } = request
  const response = await fetch(url.href.replace(/^ws/, "http"), {
    headers: {
      ...joinedHeaders(headers),
      Upgrade: "websocket",
      ...(protocols.length === 0 ? {} : { "Sec-WebSocket-Protocol": protocols.join(", ") })
    },
    redirect: "manual",
    signal
  })
  const { webSocket } = response
  if (webSocket === null) {
    const { headers, status } = response
    const error = new HandshakeRejected({ status, headers: recordOf(headers), ...(await readBody(response)) })
    return { _tag: "Failed", error }
  }
  webSocket.binaryType = "arraybuffer"
  // Events are delivered from here on, in later turns.
  webSocket.accept()
  answerClose(webSocket)
  const protocol = response.headers.get("sec-websocket-protocol") ?? ""
  const extensions = response.headers.get("sec-websocket-extensions") ?? ""
  return (
    notOffered(webSocket, protocol, request) ?? { _tag: "Opened", opened: { socket: webSocket, protocol, extensions } }
  )
}

/** Reads as much of the body as is kept. It may have no end. */
const readBody = async ({ body }: UpgradeResponse): Promise<{ body: Uint8Array; bodyTruncated: boolean }> => {
  const kept = new Uint8Array(maxBodyBytes)
  let length = 0
  const reader = body?.getReader()
  for (;;) {
    const chunk = (await reader?.read())?.value
    if (chunk === undefined) return { body: kept.slice(0, length), bodyTruncated: false }
    kept.set(chunk.subarray(0, maxBodyBytes - length), length)
    length += chunk.length
    if (length > maxBodyBytes) {
      reader?.cancel().catch(() => {})
      return { body: kept, bodyTruncated: true }
    }
  }
}

const recordOf = (headers: UpgradeResponse["headers"]): HeaderRecord => {
  const record: Record<string, string> = {}
  headers.forEach((value, name) => {
    record[name] = value
  })
  return record
}
