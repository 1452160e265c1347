import type { Message } from "@effect-websocket/protocol/Message"
import { invalid, Reader, Writer } from "./Bytes.js"
import { answers, requests, type Answer, type Layout, type Request } from "./TopicsMessage.js"

/** One of the two forms in which messages are written. */
export interface Form {
  /** The name of the subprotocol. */
  readonly protocol: string
  readonly encode: (message: Request | Answer) => string | Uint8Array
  /** `undefined` for data that is not a request in this form. */
  readonly decodeRequest: (data: Message) => Request | undefined
  /** `undefined` for data that is not an answer in this form. */
  readonly decodeAnswer: (data: Message) => Answer | undefined
}

// The type of a message decides which layout it has, which the compiler cannot follow.
type AnyLayout = Layout<{ readonly type: string }>
const requestLayouts = requests as unknown as ReadonlyArray<AnyLayout>
const answerLayouts = answers as unknown as ReadonlyArray<AnyLayout>

const layoutsByType = new Map([...requestLayouts, ...answerLayouts].map((layout) => [layout.type, layout]))

const layoutOf = ({ type }: Request | Answer): AnyLayout => layoutsByType.get(type) ?? invalid()

type Decode = (data: Message, layouts: ReadonlyArray<AnyLayout>) => object

const form = (protocol: string, encode: Form["encode"], decode: Decode): Form => {
  const decoder =
    <M extends object>(layouts: ReadonlyArray<AnyLayout>) =>
    (data: Message): M | undefined => {
      try {
        // The fields of the layout were checked one by one.
        return decode(data, layouts) as M
      } catch {
        return undefined
      }
    }
  return {
    protocol,
    encode,
    decodeRequest: decoder<Request>(requestLayouts),
    decodeAnswer: decoder<Answer>(answerLayouts)
  }
}

/** Messages as JSON, in text messages. */
export const json: Form = form(
  "effect-websocket-topics.v1.json",
  (message) => JSON.stringify({ type: message.type, ...Object(layoutOf(message).fields.toJson(message)) }),
  (data, layouts) => {
    if (data._tag === "Binary") return invalid()
    const value: unknown = JSON.parse(data.data)
    const type = typeof value === "object" && value !== null && "type" in value ? value.type : undefined
    const layout = layouts.find((each) => each.type === type) ?? invalid()
    return { type: layout.type, ...layout.fields.fromJson(value) }
  }
)

/** Messages as bytes, in binary messages. */
export const binary: Form = form(
  "effect-websocket-topics.v1.binary",
  (message) => {
    const { code, fields } = layoutOf(message)
    const writer = new Writer()
    writer.byte(code)
    fields.write(writer, message)
    return writer.written
  },
  (data, layouts) => {
    if (data._tag === "Text") return invalid()
    const reader = new Reader(data.data)
    const code = reader.byte()
    const layout = layouts.find((each) => each.code === code) ?? invalid()
    const message = { type: layout.type, ...layout.fields.read(reader) }
    return reader.isAtEnd ? message : invalid()
  }
)

/** The forms, the preferred one first. */
export const forms: ReadonlyArray<Form> = [binary, json]

/** The form of a connection with this subprotocol. */
export const formOf = (protocol: string | undefined): Form | undefined =>
  forms.find((each) => each.protocol === protocol)
