/** What a line that begins with `/` asks for. */
export type SlashCommand =
  | { readonly _tag: "Ping"; readonly data: string }
  | { readonly _tag: "Pong"; readonly data: string }
  | { readonly _tag: "Close"; readonly code: number; readonly reason: string }
  | { readonly _tag: "Help" }
  | { readonly _tag: "Text"; readonly data: string }
  | { readonly _tag: "Base64"; readonly data: string }
  | { readonly _tag: "Invalid"; readonly message: string }

/** The commands as they are typed, and what they do. */
export const help: ReadonlyArray<readonly [usage: string, what: string]> = [
  ["/ping [data]", "sends a ping and shows the time until its pong"],
  ["/pong [data]", "sends a pong that answers no ping"],
  ["/close [code] [reason]", "closes the connection, with 1000 by default"],
  ["/base64 data", "sends a binary message"],
  ["/help", "shows this list"],
  ["//text", "sends a text that begins with /"]
]

/** The names of the commands, for completion. */
export const names: ReadonlyArray<string> = ["/ping", "/pong", "/close", "/base64", "/help"]

const parseClose = (rest: string): SlashCommand => {
  const [code = "", ...words] = rest.split(" ")
  if (code === "") return { _tag: "Close", code: 1000, reason: "" }
  if (!/^\d{4}$/.test(code)) return { _tag: "Invalid", message: `A close code has four digits, and is not "${code}"` }
  return { _tag: "Close", code: Number(code), reason: words.join(" ") }
}

/** Parses a line. `undefined` if it is a message. */
export const parse = (line: string): SlashCommand | undefined => {
  if (!line.startsWith("/")) return undefined
  if (line.startsWith("//")) return { _tag: "Text", data: line.slice(1) }
  const [name = ""] = line.split(" ", 1)
  const rest = line.slice(name.length + 1)
  switch (name) {
    case "/ping":
      return { _tag: "Ping", data: rest }
    case "/pong":
      return { _tag: "Pong", data: rest }
    case "/close":
      return parseClose(rest.trim())
    case "/base64":
      return { _tag: "Base64", data: rest }
    case "/help":
      return { _tag: "Help" }
    default:
      return { _tag: "Invalid", message: `There is no ${name}; /help lists the commands, and //text sends /text` }
  }
}
