/**
 * What a page and the server say to each other, as JSON in text messages.
 *
 * The script of a page sees nothing of a handshake that is refused. So whoever asks is let in, and asks for a seat with the
 * first message, which can be answered.
 */
import { Schema } from "effect"

/** Lengths are in UTF-16 units, as those of a text field in a page. No controls, and nothing that turns the line around. */
const label = (maxLength: number) =>
  Schema.Trim.pipe(Schema.minLength(1), Schema.maxLength(maxLength), Schema.pattern(/^\P{C}*$/u))

export const Name = label(24)
export const RoomName = label(32)
export const Text = Schema.Trim.pipe(Schema.minLength(1), Schema.maxLength(500))

/**
 * Asks for a seat in a room. The key is a secret of the page: who comes back with it, after their connection was lost, takes
 * the seat over from the connection that the server may still believe in.
 */
export const Join = Schema.TaggedStruct("Join", {
  room: RoomName,
  name: Name,
  key: Schema.String.pipe(Schema.minLength(16), Schema.maxLength(64))
})
export const Say = Schema.TaggedStruct("Say", { text: Text })
/** Said again and again while somebody types. Who stops says nothing. */
export const Typing = Schema.TaggedStruct("Typing", {})
/** Answered with the same number. The API of browsers has no ping. */
export const Ping = Schema.TaggedStruct("Ping", { id: Schema.NonNegativeInt })

export const ClientMessage = Schema.Union(Join, Say, Typing, Ping)
export type ClientMessage = typeof ClientMessage.Type

/** The seat is taken; `names` are those of everybody in the room. */
export const Joined = Schema.TaggedStruct("Joined", { room: Schema.String, names: Schema.Array(Schema.String) })
export const Entered = Schema.TaggedStruct("Entered", { name: Schema.String })
export const Left = Schema.TaggedStruct("Left", { name: Schema.String })
/** Told to everybody, also to who said it. `time` is in milliseconds since 1970. */
export const Said = Schema.TaggedStruct("Said", { name: Schema.String, text: Schema.String, time: Schema.Number })
/** Everybody in the room who types. */
export const Typists = Schema.TaggedStruct("Typists", { names: Schema.Array(Schema.String) })
export const Pong = Schema.TaggedStruct("Pong", { id: Schema.Number })
/** What was asked for is not done. Where it was the seat, the connection is closed. */
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
/** Fails with a `ParseError` for whatever is not a message, binary data included. */
export const decodeClient = Schema.decodeUnknown(ClientText)
export const decodeServer = Schema.decodeUnknown(ServerText)
