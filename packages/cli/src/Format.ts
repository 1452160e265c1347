import * as Message from "@effect-websocket/protocol/Message"
import { escape } from "./escape.js"
import { exitCodes } from "./ExitCode.js"
import { Failure } from "./Failure.js"

/** How messages and bytes are made from each other; see docs/command-line.md. */
export const formats = ["text", "binary", "base64", "json"] as const

export type Format = (typeof formats)[number]

const invalid = (message: string): Failure => new Failure({ exitCode: exitCodes.data, message })

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const decodeText = (bytes: Uint8Array): string | Failure => {
  try {
    return utf8.decode(bytes)
  } catch {
    return invalid("The input is not UTF-8; --format binary sends any bytes")
  }
}

const canonical = (text: string): string => text.replace(/=+$/, "")

/** The message that a record of the input stands for: a line, or a chunk with the format `"binary"`. */
export const parse = (format: Format, record: Uint8Array): Message.Message | Failure => {
  if (format === "binary") return Message.binary(record)
  const text = decodeText(record)
  if (typeof text !== "string") return text
  switch (format) {
    case "text":
      return Message.text(text)
    case "base64": {
      const bytes = Buffer.from(text.trim(), "base64")
      // Node skips what is not base64.
      return canonical(bytes.toString("base64")) === canonical(text.trim())
        ? Message.binary(bytes)
        : invalid("The input is not base64")
    }
    case "json":
      return isJson(text) ? Message.text(text) : invalid("The input is not JSON")
  }
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const asJson = (message: Message.Message): string | Failure => {
  const text = message._tag === "Text" ? message.data : decodeText(message.data)
  if (typeof text === "string" && isJson(text)) {
    // Strings have no raw line breaks. Everything else stays as it was sent, such as large numbers.
    return text.replaceAll(/[\r\n][ \t\r\n]*/g, "")
  }
  return invalid("The peer sent a message that is not JSON")
}

/** A message for other programs: its exact bytes, or a line. */
export const raw = (format: Format, separator: string, message: Message.Message): Uint8Array | Failure => {
  switch (format) {
    case "binary":
      return Message.bytes(message)
    case "text":
      return Buffer.concat([Message.bytes(message), Buffer.from(separator)])
    case "base64":
      return Buffer.from(`${Buffer.from(Message.bytes(message)).toString("base64")}${separator}`)
    case "json": {
      const json = asJson(message)
      return typeof json === "string" ? Buffer.from(`${json}${separator}`) : json
    }
  }
}

const maxShownBytes = 64

const hexadecimal = (bytes: Uint8Array): string => {
  const shown = Buffer.from(bytes.subarray(0, maxShownBytes))
    .toString("hex")
    .replaceAll(/..(?!$)/g, "$& ")
  const size = `[${bytes.length} ${bytes.length === 1 ? "byte" : "bytes"}]`
  return [size, shown, ...(bytes.length > maxShownBytes ? ["…"] : [])].filter((part) => part !== "").join(" ")
}

/** The payload of a control frame for people: text if it is one, and else bytes. */
export const shownPayload = (payload: Uint8Array): string => {
  const text = decodeText(payload)
  return typeof text === "string" && escape(text) === text ? JSON.stringify(text) : hexadecimal(payload)
}

/** A message for people, on one line and without any character that a terminal would act on. */
export const shown = (format: Format, message: Message.Message): string => {
  if (format === "base64") return Buffer.from(Message.bytes(message)).toString("base64")
  const json = format === "json" ? asJson(message) : undefined
  if (typeof json === "string") return escape(json)
  return message._tag === "Text" ? escape(message.data) : hexadecimal(message.data)
}
