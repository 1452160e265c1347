/** The options of the commands, and what the library takes for them. */
import type { ClientOptions, ListenOptions, TlsOptions } from "@effect-websocket/platform/node/NodeOptions"
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Origin from "@effect-websocket/protocol/Origin"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { readFileSync } from "node:fs"
import { exitCodes } from "./ExitCode.js"
import { Failure } from "./Failure.js"
import { formats } from "./Format.js"

const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Parses a time as people write it for other commands: `5`, `5s`, `1.5s`, `200ms`, `2m`, `1h` or `infinite`. */
export const parseDuration = (text: string): Option.Option<Duration.Duration> => {
  if (text === "infinite") return Option.some(Duration.infinity)
  const [, number, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? []
  return number === undefined
    ? Option.none()
    : Option.some(Duration.millis(Number(number) * units[unit as keyof typeof units]))
}

export const duration = (name: string, value: string, description: string): Flag.Flag<Duration.Duration> =>
  Flag.String(name).pipe(
    Flag.withMetavar("time"),
    Flag.withDescription(`${description}; default ${value}`),
    Flag.withDefault(value),
    Flag.filterMap(parseDuration, (text) => `"${text}" is no time such as 5, 1.5s, 200ms, 2m, 1h or infinite`)
  )

export const count = (name: string, least: number, value: number, description: string): Flag.Flag<number> =>
  Flag.Int(name).pipe(
    Flag.withDescription(`${description}; default ${value}`),
    Flag.filter(
      (given) => given >= least,
      () => `It is at least ${least}`
    ),
    Flag.withDefault(value)
  )

export const onOff = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(Flag.withoutNegation, Flag.withDescription(description), Flag.withDefault(false))

const text = (name: string, metavar: string, description: string): Flag.Flag<string> =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description))

const file = (name: string, description: string): Flag.Flag<Option.Option<string>> =>
  Flag.optional(text(name, "file", description))

/** The options of every command. */
export const common = {
  format: Flag.Literals("format", formats).pipe(
    Flag.withAlias("f"),
    Flag.withDescription("What messages are: text lines, binary chunks, lines of base64, or lines of JSON"),
    Flag.withDefault("text")
  ),
  null: onOff("null", "Separate messages by NUL and not by line feeds, so that a text may have several lines"),
  raw: onOff("raw", "Write the bytes of messages as they are, even to a terminal"),
  verbose: onOff("verbose", "Show on stderr what happens: handshakes, pings, times and closings").pipe(
    Flag.withAlias("v")
  ),
  timestamps: onOff("timestamps", "Show the time (UTC) of what is shown"),
  frames: onOff("frames", "Show in which frames each message was received, and what --verbose shows"),
  compress: onOff("compress", "Agree on compression (permessage-deflate), if the peer does").pipe(Flag.withAlias("z")),
  subprotocol: text("subprotocol", "name", "A subprotocol, in order of preference; may be repeated").pipe(
    Flag.withAlias("s"),
    Flag.atLeast(0)
  ),
  cert: file("cert", "The certificate of this side, in PEM"),
  key: file("key", "The key of that certificate, in PEM"),
  unixSocket: file("unix-socket", "The path of a Unix domain socket in place of TCP"),
  maxMessageBytes: count("max-message-bytes", 1, 16 * 1024 * 1024, "The most bytes of a message, in both directions"),
  heartbeat: duration("heartbeat", "25s", "The silence after which a ping is sent"),
  closeTimeout: duration("close-timeout", "5s", "The time limit of the closing handshake")
}

/** The options of commands that connect. */
export const client = {
  header: text("header", "name: value", "A header of the request, or @file with one per line; may be repeated").pipe(
    Flag.withAlias("H"),
    Flag.atLeast(0)
  ),
  auth: Flag.optional(
    text("auth", "user:password", "Basic authentication, or @file with user:password").pipe(Flag.withAlias("u"))
  ),
  origin: Flag.optional(text("origin", "url", "The Origin header").pipe(Flag.withAlias("o"))),
  cookie: text("cookie", "name=value", "A cookie; may be repeated").pipe(Flag.withAlias("b"), Flag.atLeast(0)),
  cookieJar: file("cookie-jar", "A file of cookies in Netscape's format: read first, and written at the end").pipe(
    Flag.withAlias("c")
  ),
  ca: file("ca", "Certificate authorities in PEM, in place of those that Node knows"),
  passphrase: Flag.optional(text("passphrase", "text", "The passphrase of the key, or @file with it")),
  insecure: onOff("insecure", "Accept every certificate; anyone between can then read and change all data").pipe(
    Flag.withAlias("k")
  ),
  proxy: text("proxy", "url", "A proxy (http, https, socks4, socks5), environment, or none; default environment").pipe(
    Flag.withAlias("x"),
    Flag.withDefault("environment")
  ),
  maxRedirects: count("max-redirects", 0, 0, "The number of redirects that are followed"),
  connectTimeout: duration("connect-timeout", "10s", "The time until the connection is open")
}

type Values<F> = { readonly [K in keyof F]: F[K] extends Flag.Flag<infer A> ? A : never }
export type CommonValues = Values<typeof common>
export type ClientValues = CommonValues & Values<typeof client>

const usage = (message: string): Failure => new Failure({ exitCode: exitCodes.usage, message })

const readGiven = (path: Option.Option<string>): Effect.Effect<Buffer | undefined, Failure> =>
  Option.isNone(path) ? Effect.succeed(undefined) : readFile(path.value)

const readFile = (path: string): Effect.Effect<Buffer, Failure> =>
  Effect.try({
    try: () => readFileSync(path),
    catch: (cause) => usage(cause instanceof Error ? cause.message : `${path} cannot be read`)
  })

/** A value, or the content of a file, which keeps secrets out of the list of processes. */
const fromFile = (value: string): Effect.Effect<string, Failure> =>
  value.startsWith("@")
    ? Effect.map(readFile(value.slice(1)), (bytes) => bytes.toString().trim())
    : Effect.succeed(value)

/** Header lines as a record. A repeated header has all of its values. */
export const parseHeaders = (lines: ReadonlyArray<string>): HeaderRecord | Failure => {
  const headers = new Map<string, Array<string>>()
  for (const line of lines) {
    const colon = line.indexOf(":")
    if (colon < 1) return usage("A header has the form name: value")
    const name = line.slice(0, colon).trim()
    headers.set(name, [...(headers.get(name) ?? []), line.slice(colon + 1).trim()])
  }
  return Object.fromEntries(headers)
}

const credentials = (auth: string): NonNullable<ClientOptions["auth"]> => {
  const colon = auth.indexOf(":")
  const end = colon < 0 ? auth.length : colon
  return { username: auth.slice(0, end), password: Redacted.make(auth.slice(end + 1)) }
}

/** What both sides of a connection have. */
const connectionOptions = (values: CommonValues) => ({
  compression: values.compress,
  limits: { maxMessageBytes: values.maxMessageBytes },
  maxSendBytes: values.maxMessageBytes,
  heartbeatInterval: values.heartbeat,
  closeTimeout: values.closeTimeout
})

/** The options of a client. Fails if a file cannot be read or a value has a wrong form. */
export const clientOptions = (values: ClientValues): Effect.Effect<ClientOptions, Failure> =>
  Effect.gen(function* () {
    const lines = yield* Effect.forEach(values.header, fromFile)
    const headers = parseHeaders([
      ...lines.flatMap((line) => line.split(/\r?\n/)).filter((line) => line !== ""),
      ...(values.cookie.length === 0 ? [] : [`Cookie: ${values.cookie.join("; ")}`])
    ])
    if (headers instanceof Failure) return yield* headers
    const auth = Option.isSome(values.auth) ? credentials(yield* fromFile(values.auth.value)) : undefined
    const [ca, cert, key] = yield* Effect.all([readGiven(values.ca), readGiven(values.cert), readGiven(values.key)])
    const passphrase = Option.isSome(values.passphrase) ? yield* fromFile(values.passphrase.value) : undefined
    const tls: TlsOptions = {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key: Redacted.make(key) }),
      ...(passphrase === undefined ? {} : { passphrase: Redacted.make(passphrase) }),
      dangerouslySkipCertificateVerification: values.insecure
    }
    const socketPath = Option.getOrUndefined(values.unixSocket)
    return {
      ...connectionOptions(values),
      headers,
      auth,
      origin: Option.getOrUndefined(values.origin),
      protocols: values.subprotocol,
      maxRedirects: values.maxRedirects,
      openTimeout: values.connectTimeout,
      tls,
      socketPath,
      proxy: values.proxy === "none" || socketPath !== undefined ? undefined : values.proxy
    }
  })

/** The options of a server, apart from its address. Fails if a file cannot be read, or if one of two files is missing. */
export const listenOptions = (
  values: CommonValues & { readonly anyOrigin: boolean }
): Effect.Effect<ListenOptions, Failure> =>
  Effect.gen(function* () {
    const [cert, key] = yield* Effect.all([readGiven(values.cert), readGiven(values.key)])
    if ((cert === undefined) !== (key === undefined)) return yield* usage("--cert and --key belong together")
    return {
      ...connectionOptions(values),
      protocols: values.subprotocol,
      ...(values.anyOrigin ? { origin: Origin.allowAll } : {}),
      ...(cert === undefined || key === undefined ? {} : { tls: { cert, key } })
    }
  })
