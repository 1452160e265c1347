import { HandshakeRejected, remoteProtocolError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import { closeQuietly, connectError } from "../../engine/native/dialNative.js"
import { joinedHeaders } from "../../engine/native/joinedHeaders.js"
import type { NativeDial, NativeDialed, NativeRequest, NativeSocket } from "../../engine/native/NativeSocket.js"

/** What `fetch` of Workers answers to an upgrade request. */
interface UpgradeResponse {
  readonly status: number
  readonly headers: {
    get(name: string): string | null
    forEach(each: (value: string, name: string) => void): void
  }
  readonly webSocket: (NativeSocket & { accept(): void }) | null
  arrayBuffer(): Promise<ArrayBuffer>
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

const upgrade = async ({ headers, protocols, url }: NativeRequest, signal: AbortSignal): Promise<NativeDialed> => {
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
    const body = new Uint8Array(await response.arrayBuffer())
    const error = new HandshakeRejected({
      status: response.status,
      headers: recordOf(response),
      body: body.subarray(0, maxBodyBytes),
      bodyTruncated: body.length > maxBodyBytes
    })
    return { _tag: "Failed", error }
  }
  webSocket.binaryType = "arraybuffer"
  // Events are delivered from here on, in later turns.
  webSocket.accept()
  const protocol = response.headers.get("sec-websocket-protocol") ?? ""
  if (protocol !== "" && !protocols.includes(protocol)) {
    closeQuietly(webSocket)
    return {
      _tag: "Failed",
      error: remoteProtocolError("The server selected a subprotocol that was not offered", "RFC 6455 §4.1")
    }
  }
  const extensions = response.headers.get("sec-websocket-extensions") ?? ""
  return { _tag: "Opened", opened: { socket: webSocket, protocol, extensions } }
}

const recordOf = ({ headers }: UpgradeResponse): HeaderRecord => {
  const record: Record<string, string> = {}
  headers.forEach((value, name) => {
    record[name] = value
  })
  return record
}
