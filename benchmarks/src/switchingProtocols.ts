import { createHash } from "node:crypto"
import type { IncomingMessage } from "node:http"

const handshakeGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/** The head of the response that opens a connection, with further header lines. */
export const switchingProtocols = ({ headers }: IncomingMessage, lines: ReadonlyArray<string> = []): string => {
  const accept = createHash("sha1").update(`${headers["sec-websocket-key"]}${handshakeGuid}`).digest("base64")
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    ...lines,
    "",
    ""
  ].join("\r\n")
}
