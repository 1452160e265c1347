/**
 * Reads and writes HTTP header fields (RFC 9110 §5.6, RFC 6455 §9.1): tokens, lists and parameters. Parsing is one
 * pass without regular expressions, so that its time grows only with the length of the input.
 *
 * @since 0.1.0
 */
import { remoteProtocolError, type HeaderRecord, type ProtocolError } from "./Errors.js"

/**
 * A parameter of a list element: its name, and its value or `true` if it has none.
 *
 * @since 0.1.0
 * @category models
 */
export type Parameter = readonly [name: string, value: string | true]

/**
 * An element of a list: a token with parameters.
 *
 * @since 0.1.0
 * @category models
 */
export interface Element {
  readonly name: string
  readonly parameters: ReadonlyArray<Parameter>
}

/**
 * Whether a text is a token: one or more characters that need no quotes (RFC 9110 §5.6.2).
 *
 * @example
 * ```ts
 * import * as HeaderField from "@effect-websocket/protocol/HeaderField"
 *
 * console.log(HeaderField.isToken("chat.v1")) // true
 * console.log(HeaderField.isToken("chat v1")) // false
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const isToken = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    if (!isTokenUnit(text.charCodeAt(i))) return false
  }
  return text.length > 0
}

/**
 * Whether a text may be the value of a header (RFC 9110 §5.5): visible Latin-1 characters, spaces and tabs, but no
 * carriage return, line feed or other control character.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isValue = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if ((unit < 0x20 && unit !== 0x09) || unit === 0x7f || unit > 0xff) return false
  }
  return true
}

/**
 * Headers of any runtime or library: a record, such as Node's or the `Headers` of `@effect/platform`, or an iterable
 * of names and values, such as the web's `Headers`. Names may have any case.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = HeaderRecord | Iterable<readonly [name: string, value: string]>

/**
 * All headers as pairs of a name and one value, in order: one pair for each line of an HTTP/1.1 message. Names keep
 * their case.
 *
 * @example
 * ```ts
 * import * as HeaderField from "@effect-websocket/protocol/HeaderField"
 *
 * const headers = { Upgrade: "websocket", "Set-Cookie": ["a=1", "b=2"] }
 * const lines = HeaderField.entries(headers).map(([name, value]) => `${name}: ${value}`)
 * console.log(lines) // [ "Upgrade: websocket", "Set-Cookie: a=1", "Set-Cookie: b=2" ]
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const entries = (headers: Input): ReadonlyArray<readonly [name: string, value: string]> =>
  isIterable(headers)
    ? Array.from(headers)
    : Object.keys(headers).flatMap((name) => listOf(headers[name]).map((value) => [name, value] as const))

/**
 * All values of a header, in order; an empty array if it is missing. The case of names does not matter.
 *
 * @since 0.1.0
 * @category accessors
 */
export const values = (headers: Input, name: string): ReadonlyArray<string> => {
  const wanted = name.toLowerCase()
  if (isIterable(headers)) {
    return Array.from(headers).flatMap(([name, value]) => (name.toLowerCase() === wanted ? [value] : []))
  }
  let found: ReadonlyArray<string> | undefined
  for (const key of Object.keys(headers)) {
    if (key.length !== wanted.length || key.toLowerCase() !== wanted) continue
    const more = listOf(headers[key])
    found = found === undefined ? more : [...found, ...more]
  }
  return found ?? none
}

/**
 * The value of a header; `undefined` if it is missing. Several values are joined with commas (RFC 9110 §5.3), as by
 * the web's `Headers`. The case of names does not matter.
 *
 * @example
 * ```ts
 * import * as HeaderField from "@effect-websocket/protocol/HeaderField"
 *
 * const headers = { "sec-websocket-version": "13" }
 * console.log(HeaderField.get(headers, "Sec-WebSocket-Version")) // "13"
 * console.log(HeaderField.get(headers, "Origin")) // undefined
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const get = (headers: Input, name: string): string | undefined => {
  const all = values(headers, name)
  return all.length > 1 ? all.join(", ") : all[0]
}

/**
 * Whether a comma-separated list has a token, ignoring case. A malformed list has no tokens.
 *
 * @example
 * ```ts
 * import * as HeaderField from "@effect-websocket/protocol/HeaderField"
 *
 * console.log(HeaderField.hasToken("keep-alive, Upgrade", "upgrade")) // true
 * ```
 *
 * @since 0.1.0
 * @category predicates
 */
export const hasToken = (lines: string | ReadonlyArray<string>, token: string): boolean => {
  const tokens = parseTokens(lines)
  const wanted = token.toLowerCase()
  return !("_tag" in tokens) && tokens.some((candidate) => candidate.toLowerCase() === wanted)
}

/**
 * Parses a comma-separated list of tokens: one header value, or the values of several lines. It skips empty elements
 * (RFC 9110 §5.6.1). Fails with a remote `ProtocolError` for anything else.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseTokens = (lines: string | ReadonlyArray<string>): ReadonlyArray<string> | ProtocolError => {
  const tokens: Array<string> = []
  for (const line of listOf(lines)) {
    const scanner = new Scanner(line)
    while (scanner.nextElement()) {
      const token = scanner.token()
      if (!scanner.atElementEnd()) return malformed()
      tokens.push(token)
    }
  }
  return tokens.length === 0 ? none : tokens
}

/**
 * Parses a comma-separated list of tokens with parameters: one header value, or the values of several lines. A quoted
 * value must be a token without its quotes (RFC 6455 §9.1). Fails with a remote `ProtocolError` for anything else.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseElements = (lines: string | ReadonlyArray<string>): ReadonlyArray<Element> | ProtocolError => {
  const elements: Array<Element> = []
  for (const line of listOf(lines)) {
    const scanner = new Scanner(line)
    while (scanner.nextElement()) {
      const name = scanner.token()
      if (name === "") return malformed()
      const parameters: Array<Parameter> = []
      while (scanner.accept(semicolon)) {
        const parameter = scanner.token()
        if (parameter === "") return malformed()
        if (!scanner.accept(equals)) {
          parameters.push([parameter, true])
          continue
        }
        const value = scanner.tokenOrQuoted()
        if (!isToken(value)) return malformed()
        parameters.push([parameter, value])
      }
      if (!scanner.atElementEnd()) return malformed()
      elements.push({ name, parameters })
    }
  }
  return elements.length === 0 ? none : elements
}

/**
 * Formats a list that `parseElements` can read. All names and values must be tokens; this function does not check it.
 *
 * @since 0.1.0
 * @category formatting
 */
export const formatElements = (elements: ReadonlyArray<Element>): string =>
  elements
    .map(({ name, parameters }) =>
      [name, ...parameters.map(([key, value]) => (value === true ? key : `${key}=${value}`))].join("; ")
    )
    .join(", ")

// Shared, because requests keep their empty lists.
const none: ReadonlyArray<never> = Object.freeze([])

const listOf = (value: string | ReadonlyArray<string> | undefined): ReadonlyArray<string> =>
  value === undefined ? none : typeof value === "string" ? [value] : value

const isIterable = (headers: Input): headers is Iterable<readonly [name: string, value: string]> =>
  Symbol.iterator in headers

const malformed = (): ProtocolError => remoteProtocolError("A header of the handshake is malformed", "RFC 6455 §9.1")

const tab = 0x09
const space = 0x20
const quote = 0x22
const comma = 0x2c
const semicolon = 0x3b
const equals = 0x3d
const backslash = 0x5c

const isTokenUnit = (unit: number): boolean =>
  (unit >= 0x61 && unit <= 0x7a) ||
  (unit >= 0x41 && unit <= 0x5a) ||
  (unit >= 0x30 && unit <= 0x39) ||
  (unit < 0x80 && "!#$%&'*+-.^_`|~".includes(String.fromCharCode(unit)))

/** Reads one line. Every method moves only forwards. */
class Scanner {
  private position = 0
  private readonly text: string

  constructor(text: string) {
    this.text = text
  }

  /** Skips white space and commas; false at the end of the line. */
  nextElement(): boolean {
    do this.skipSpace()
    while (this.accept(comma))
    return this.position < this.text.length
  }

  /** Whether the position is at a comma or at the end of the line. */
  atElementEnd(): boolean {
    this.skipSpace()
    return this.position === this.text.length || this.peek() === comma
  }

  /** The token at the position, or "". */
  token(): string {
    this.skipSpace()
    const start = this.position
    while (this.position < this.text.length && isTokenUnit(this.peek())) this.position++
    return this.text.slice(start, this.position)
  }

  /** The token or the content of the quoted string at the position, or "". */
  tokenOrQuoted(): string {
    this.skipSpace()
    if (!this.accept(quote)) return this.token()
    let content = ""
    let start = this.position
    for (; this.position < this.text.length; this.position++) {
      const unit = this.peek()
      if (unit === quote) {
        content += this.text.slice(start, this.position++)
        return content
      }
      if (unit === backslash) {
        // The next character stands for itself.
        content += this.text.slice(start, this.position++)
        start = this.position
      }
    }
    return ""
  }

  accept(unit: number): boolean {
    this.skipSpace()
    if (this.position === this.text.length || this.peek() !== unit) return false
    this.position++
    return true
  }

  private skipSpace(): void {
    while (this.position < this.text.length) {
      const unit = this.peek()
      if (unit !== space && unit !== tab) return
      this.position++
    }
  }

  private peek(): number {
    return this.text.charCodeAt(this.position)
  }
}
