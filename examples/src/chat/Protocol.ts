/**
 * The messages between a page and the server, as JSON in text messages.
 *
 * A page's script cannot see why a handshake was refused. So the server accepts every connection, and the page asks for a seat
 * with its first message, which the server can answer.
 */
import { Schema } from "effect"

/**
 * Lengths are in UTF-16 units, as in a text field of a page. Control characters and characters that reverse a line are
 * refused.
 */
const label = (maxLength: number) =>
  Schema.Trim.pipe(Schema.minLength(1), Schema.maxLength(maxLength), Schema.pattern(/^\P{C}*$/u))

export const Name = label(24)
export const RoomName = label(32)
export const Text = Schema.Trim.pipe(Schema.minLength(1), Schema.maxLength(500))

/**
 * Asks for a seat in a room. The key is a secret of the page. If the page reconnects with it after a lost connection, it takes
 * over the seat, even if the server has not noticed yet that the old connection is lost.
 */
export const Join = Schema.TaggedStruct("Join", {
  room: RoomName,
  name: Name,
  key: Schema.String.pipe(Schema.minLength(16), Schema.maxLength(64))
})
export const Say = Schema.TaggedStruct("Say", { text: Text })
/** Sent again and again while somebody types. Nothing is sent when they stop. */
export const Typing = Schema.TaggedStruct("Typing", {})
/** The server answers with the same number. The WebSocket API of browsers has no ping. */
export const Ping = Schema.TaggedStruct("Ping", { id: Schema.NonNegativeInt })

export const ClientMessage = Schema.Union(Join, Say, Typing, Ping)
export type ClientMessage = typeof ClientMessage.Type

/** The seat was given. `names` lists everybody in the room. */
export const Joined = Schema.TaggedStruct("Joined", { room: Schema.String, names: Schema.Array(Schema.String) })
export const Entered = Schema.TaggedStruct("Entered", { name: Schema.String })
export const Left = Schema.TaggedStruct("Left", { name: Schema.String })
/** Sent to everybody, also to its author. `time` is in milliseconds since 1970. */
export const Said = Schema.TaggedStruct("Said", { name: Schema.String, text: Schema.String, time: Schema.Number })
/** The names of everybody in the room who is typing. */
export const Typists = Schema.TaggedStruct("Typists", { names: Schema.Array(Schema.String) })
export const Pong = Schema.TaggedStruct("Pong", { id: Schema.Number })
/** The server refused a request. If it was the request for a seat, the server closes the connection. */
export const Refused = Schema.TaggedStruct("Refused", {
  reason: Schema.Literal("not understood", "this name is taken", "this room is full")
})
export type Refused = typeof Refused.Type

export const ServerMessage = Schema.Union(Joined, Entered, Left, Said, Typists, Pong, Refused)
export type ServerMessage = typeof ServerMessage.Type

const ClientText = Schema.parseJson(ClientMessage)
const ServerText = Schema.parseJson(ServerMessage)

export const encodeClient = Schema.encodeSync(ClientText)
export const encodeServer = Schema.encodeSync(ServerText)
/** Fails with a `ParseError` for data that is not a message, including binary data. */
export const decodeClient = Schema.decodeUnknown(ClientText)
export const decodeServer = Schema.decodeUnknown(ServerText)
