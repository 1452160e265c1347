/** Functions that build the tables of clauses. */
import type { Clause, End, ErrorFields, Exchange, Observation, Request, Response } from "../Clause.js"
import { bothRoles, type Role } from "../Role.js"
import { sentTo, type Frame } from "../Frame.js"

export const clause = (section: string, rule: string, cases: Clause["cases"]): Clause => ({ section, rule, cases })

interface ExchangeOptions {
  readonly roles?: ReadonlyArray<Role>
  readonly messages?: ReadonlyArray<Frame>
  readonly pongs?: ReadonlyArray<Frame>
  readonly end?: End
  readonly deflate?: string
  readonly inspect?: Exchange["inspect"]
}

/**
 * `input` is a list of frames, or a function from the role to bytes. A name `a: b` is the variant `b` of the case `a`.
 */
export const exchange = (
  name: string,
  input: ReadonlyArray<Frame> | ((role: Role) => Uint8Array),
  options: ExchangeOptions = {}
): Exchange => ({
  kind: "exchange",
  name,
  roles: options.roles ?? bothRoles,
  input: typeof input === "function" ? input : (role) => sentTo(role, input),
  messages: options.messages ?? [],
  pongs: options.pongs ?? [],
  end: options.end,
  deflate: options.deflate,
  inspect: options.inspect
})

/** Data frames that must come back unchanged. */
export const echoes = (
  name: string,
  frames: ReadonlyArray<Frame>,
  options: Omit<ExchangeOptions, "messages"> = {}
): Exchange => exchange(name, frames, { ...options, messages: frames })

export const violated = (closeCode: number, section: string, description: string, rfc = "RFC 6455"): End => ({
  codes: [closeCode],
  error: { _tag: "Protocol_error", origin: "remote", description, section: `${rfc} §${section}`, closeCode }
})

/** The peer's Close, answered with the same code. */
export const closed = (code?: number, reason = ""): End => ({
  codes: [code ?? 1005],
  error: { _tag: "Connection_closed", code: code ?? 1005, reason, initiator: "remote", clean: true }
})

export const key = "dGhlIHNhbXBsZSBub25jZQ=="
export const acceptOfKey = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

type Changes = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

const lines = (headers: Changes): string =>
  Object.entries(headers)
    .flatMap(([name, value]) =>
      (value === undefined ? [] : typeof value === "string" ? [value] : value.map(String)).map(
        (each) => `${name}: ${each}\r\n`
      )
    )
    .join("")

/** The head of an upgrade request with changed headers: `undefined` leaves one out, an array repeats it. */
export const upgradeRequest = (changes: Changes = {}, line = "GET /chat HTTP/1.1"): string =>
  `${line}\r\n${lines({
    Host: "127.0.0.1",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": key,
    "Sec-WebSocket-Version": "13",
    ...changes
  })}\r\n`

interface RequestOptions {
  readonly headers?: Request["headers"]
  readonly line?: string
  readonly deflate?: boolean
}

export const accepts = (name: string, changes: Changes = {}, options: RequestOptions = {}): Request => ({
  kind: "request",
  name,
  head: upgradeRequest(changes, options.line),
  status: 101,
  headers: {
    upgrade: (value) => (value?.toLowerCase() === "websocket" ? undefined : `Upgrade is ${value}`),
    connection: (value) => (value?.toLowerCase() === "upgrade" ? undefined : `Connection is ${value}`),
    "sec-websocket-accept": acceptOfKey,
    ...options.headers
  },
  error: undefined,
  deflate: options.deflate ?? false
})

export const refuses = (
  name: string,
  changes: Changes,
  section: string,
  options: RequestOptions & { readonly status?: number } = {}
): Request => ({
  kind: "request",
  name,
  head: upgradeRequest(changes, options.line),
  status: options.status ?? 400,
  headers: options.headers ?? {},
  error: { _tag: "Protocol_error", origin: "remote", section: `RFC 6455 §${section}`, closeCode: undefined },
  deflate: options.deflate ?? false
})

interface ResponseOptions {
  readonly line?: string
  readonly deflate?: boolean
  /** The whole answer, instead of its headers. */
  readonly head?: (accept: string, protocol: string | undefined) => string
}

const answer =
  (changes: Changes, { line = "HTTP/1.1 101 Switching Protocols" }: ResponseOptions) =>
  (accept: string, protocol: string | undefined): string =>
    `${line}\r\n${lines({
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Accept": accept,
      "Sec-WebSocket-Protocol": protocol,
      ...changes
    })}\r\n`

export const opens = (name: string, changes: Changes = {}, options: ResponseOptions = {}): Response => ({
  kind: "response",
  name,
  head: options.head ?? answer(changes, options),
  opens: true,
  error: undefined,
  deflate: options.deflate ?? false
})

/** `error` is the section that is broken, or the fields of an error of another kind. */
export const fails = (
  name: string,
  changes: Changes,
  error: string | ErrorFields,
  options: ResponseOptions = {}
): Response => ({
  kind: "response",
  name,
  head: options.head ?? answer(changes, options),
  opens: false,
  error:
    typeof error === "string"
      ? { _tag: "Protocol_error", origin: "remote", section: error, closeCode: undefined }
      : error,
  deflate: options.deflate ?? false
})

export const observe = (
  name: string,
  check: Observation["check"],
  options: { readonly connections?: number; readonly deflate?: boolean } = {}
): Observation => ({
  kind: "observation",
  name,
  connections: options.connections ?? 1,
  check,
  deflate: options.deflate ?? false
})
