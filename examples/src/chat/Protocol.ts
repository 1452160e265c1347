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

/** Chosen by the page at random. */
const token = Schema.String.pipe(Schema.minLength(16), Schema.maxLength(64))

export const Name = label(24)
/** One segment of the name of a topic. */
export const RoomName = label(32).pipe(Schema.pattern(/^[^/*]*$/))
export const Text = Schema.Trim.pipe(Schema.minLength(1), Schema.maxLength(500))

/** A position in the topic of a room. */
export const Position = Schema.Struct({
  epoch: Schema.String.pipe(Schema.maxLength(64)),
  offset: Schema.NonNegativeInt
})
export type Position = typeof Position.Type

/**
 * Asks for a seat in a room.
 *
 * - `key`: a secret of the page. A name belongs to its key for as long as somebody with that key is in the room. So a page that
 *   reconnects gets its name back, even if its old connection, or the process of that, is only about to be given up.
 * - `since`: what the page has seen. Everything behind it follows, or the page is told that something is missing.
 */
export const Join = Schema.TaggedStruct("Join", {
  room: RoomName,
  name: Name,
  key: token,
  since: Schema.optionalWith(Position, { exact: true })
})
export type Join = typeof Join.Type
/** A page that does not know whether this has arrived sends it again, with the same `id`. It is published once. */
export const Say = Schema.TaggedStruct("Say", { id: token, text: Text })
export type Say = typeof Say.Type
/** Sent again and again while somebody types. Nothing is sent when they stop. */
export const Typing = Schema.TaggedStruct("Typing", {})
/** The server answers with the same number. The WebSocket API of browsers has no ping. */
export const Ping = Schema.TaggedStruct("Ping", { id: Schema.NonNegativeInt })

export const ClientMessage = Schema.Union(Join, Say, Typing, Ping)
export type ClientMessage = typeof ClientMessage.Type

/** What is published to the topic of a room. `time` is in milliseconds since 1970. */
export const Line = Schema.Struct({ id: token, name: Schema.String, text: Schema.String, time: Schema.Number })
export const Person = Schema.Struct({ name: Schema.String, isTyping: Schema.Boolean })
export type Person = typeof Person.Type

/**
 * What follows is behind `position`. If that is not the position of the page, messages are missing. Comes first, and whenever
 * messages are missing later.
 */
export const Started = Schema.TaggedStruct("Started", { position: Position })
/** Sent to everybody, also to its author. `position` is the one behind it. */
export const Said = Schema.TaggedStruct("Said", { position: Position, ...Line.fields })
/** Everybody in the room. Comes after everything that the page missed: now it has its seat, and may speak. */
export const Present = Schema.TaggedStruct("Present", { people: Schema.Array(Person) })
/** Who has entered or left, and who types or has stopped. */
export const Changed = Schema.TaggedStruct("Changed", {
  entered: Schema.Array(Person),
  updated: Schema.Array(Person),
  left: Schema.Array(Person)
})
export const Pong = Schema.TaggedStruct("Pong", { id: Schema.Number })
/** The server refused a request. If it was the request for a seat, the server closes the connection. */
export const Refused = Schema.TaggedStruct("Refused", {
  reason: Schema.Literal("not understood", "this name is taken", "this room is full")
})
export type Refused = typeof Refused.Type

export const ServerMessage = Schema.Union(Started, Said, Present, Changed, Pong, Refused)
export type ServerMessage = typeof ServerMessage.Type

const ClientText = Schema.parseJson(ClientMessage)
const ServerText = Schema.parseJson(ServerMessage)
const LineText = Schema.parseJson(Line)

export const encodeClient = Schema.encodeSync(ClientText)
export const encodeServer = Schema.encodeSync(ServerText)
export const encodeLine = Schema.encodeSync(LineText)
/** Fails with a `ParseError` for data that is not a message, including binary data. */
export const decodeClient = Schema.decodeUnknown(ClientText)
export const decodeServer = Schema.decodeUnknown(ServerText)
export const decodeLine = Schema.decodeUnknownOption(LineText)
