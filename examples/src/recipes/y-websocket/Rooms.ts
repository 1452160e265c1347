/** A server for y-websocket: a document for each room. */
import { WebSocket, WebSocketServer } from "@effect-websocket/platform"
import { Effect } from "effect"
import * as decoding from "lib0/decoding"
import * as encoding from "lib0/encoding"
import { readSyncMessage, writeSyncStep1 } from "y-protocols/sync"
import * as Y from "yjs"

/** The document and the members of each room, which is the path of the URL. */
const rooms = new Map<string, { readonly doc: Y.Doc; readonly members: Set<WebSocket.WebSocket> }>()

const syncMessage = (write: (encoder: encoding.Encoder) => void) =>
  encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, 0)
    write(encoder)
  })

/** Answers questions from the document, and passes anything else on to all members. */
export const Rooms = WebSocketServer.layerHandler((socket) => {
  const { doc, members } = rooms.get(socket.url) ?? { doc: new Y.Doc(), members: new Set() }
  rooms.set(socket.url, { doc, members: members.add(socket) })
  const handle = (data: Uint8Array) => {
    const decoder = decoding.createDecoder(data)
    if (decoding.readVarUint(decoder) !== 0) return WebSocket.broadcast(members, data)
    const answer = syncMessage((encoder) => readSyncMessage(decoder, encoder, doc, socket))
    return answer.length > 1 ? socket.send(answer) : WebSocket.broadcast(members, data)
  }
  return socket
    .send(syncMessage((encoder) => writeSyncStep1(encoder, doc)))
    .pipe(
      Effect.andThen(socket.run((message) => (message._tag === "Binary" ? handle(message.data) : undefined))),
      Effect.ensuring(Effect.sync(() => members.delete(socket)))
    )
})
