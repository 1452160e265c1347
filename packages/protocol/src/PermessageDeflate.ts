/**
 * Negotiates permessage-deflate (RFC 7692 §7.1): the client's offers, the server's choice among them, and the
 * client's check of the answer. `Compressor` applies it to messages.
 *
 * @since 0.1.0
 */
import { remoteProtocolError, type ProtocolError } from "./Errors.js"
import * as Extension from "./Extension.js"
import type { Message } from "./Message.js"

/**
 * The name of the extension.
 *
 * @since 0.1.0
 * @category constants
 */
export const name = "permessage-deflate"

/**
 * The parameters of an offer or an answer (RFC 7692 §7.1).
 *
 * - `serverNoContextTakeover`, `clientNoContextTakeover`: that side compresses each message by itself.
 * - `serverMaxWindowBits`, `clientMaxWindowBits`: that side refers back at most 2^bits octets; 8 to 15. In an offer,
 *   `clientMaxWindowBits: true` means that the client accepts any limit that the server sets.
 *
 * @since 0.1.0
 * @category models
 */
export interface Parameters {
  readonly serverNoContextTakeover?: boolean | undefined
  readonly clientNoContextTakeover?: boolean | undefined
  readonly serverMaxWindowBits?: number | undefined
  readonly clientMaxWindowBits?: number | true | undefined
}

/**
 * How messages are compressed, and which parameters are negotiated. Both roles take the same options.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * The window of the server, 8 to 15. At most 2^bits bytes are kept for each connection and direction. Default: 12.
   */
  readonly serverMaxWindowBits?: number | undefined
  /**
   * The window of the client, 8 to 15. Default: 12. A server that cannot limit a client's window has the client compress without
   * context takeover instead.
   */
  readonly clientMaxWindowBits?: number | undefined
  /** Whether the server compresses each message by itself, so that nothing is kept between messages. Default: `false`. */
  readonly serverNoContextTakeover?: boolean | undefined
  /** Whether the client compresses each message by itself, so that nothing is kept between messages. Default: `false`. */
  readonly clientNoContextTakeover?: boolean | undefined
  /** The offers of a client, in order of preference. Default: those that follow from the options above. */
  readonly offers?: ReadonlyArray<Parameters> | undefined
  /** The smallest message that is compressed, in bytes. Default: 1,024. Smaller ones are sent as they are. */
  readonly threshold?: number | undefined
  /** Decides whether a message is compressed. Default: none, so that all messages are. */
  readonly filter?: ((message: Message) => boolean) | undefined
  /** The level of zlib, from 1, the fastest, to 9, the smallest. Default: 6. */
  readonly level?: number | undefined
  /** The memory level of zlib, 1 to 9. Default: 5. */
  readonly memLevel?: number | undefined
  /**
   * The largest ratio of a message above 64 KiB to its size on the wire. Default: no limit besides that of a message. A message that inflates to more is refused.
   */
  readonly maxRatio?: number | undefined
}

/**
 * The options with all defaults filled in.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  readonly serverMaxWindowBits: number
  readonly clientMaxWindowBits: number
  readonly serverNoContextTakeover: boolean
  readonly clientNoContextTakeover: boolean
  readonly offers: ReadonlyArray<Parameters>
  readonly threshold: number
  readonly filter: ((message: Message) => boolean) | undefined
  readonly level: number
  readonly memLevel: number
  readonly maxRatio: number
}

/**
 * How one side compresses: the base-2 logarithm of its window in bytes, and whether messages refer back to earlier
 * ones.
 *
 * @since 0.1.0
 * @category models
 */
export interface Direction {
  readonly windowBits: number
  readonly contextTakeover: boolean
}

/**
 * The result of the negotiation, as one endpoint sees it. `extension` is the server's answer.
 *
 * @since 0.1.0
 * @category models
 */
export interface Agreement {
  readonly extension: Extension.Extension
  readonly outbound: Direction
  readonly inbound: Direction
}

/**
 * Fills in the default options.
 *
 * Throws a `RangeError` for an option that is out of range, and for an empty list of offers.
 *
 * @since 0.1.0
 * @category constructors
 */
export const resolve = (options: Options = {}): Settings => {
  const serverMaxWindowBits = inRange("serverMaxWindowBits", options.serverMaxWindowBits ?? 12, minBits, maxBits)
  const clientMaxWindowBits = inRange("clientMaxWindowBits", options.clientMaxWindowBits ?? 12, minBits, maxBits)
  const serverNoContextTakeover = options.serverNoContextTakeover ?? false
  const clientNoContextTakeover = options.clientNoContextTakeover ?? false
  const { filter, maxRatio = Number.POSITIVE_INFINITY } = options
  if (!(maxRatio >= 1)) throw new RangeError(`maxRatio must be at least 1, but is ${maxRatio}`)
  // A server that cannot limit its window must decline the first offer (§7.1.2.1). `client_max_window_bits` has no
  // value, because some servers answer with more than the value they were given.
  const anyWindow: Parameters = { serverNoContextTakeover, clientNoContextTakeover, clientMaxWindowBits: true }
  const offers =
    options.offers ?? (serverMaxWindowBits < maxBits ? [{ ...anyWindow, serverMaxWindowBits }, anyWindow] : [anyWindow])
  if (offers.length === 0) throw new RangeError("offers must not be empty")
  for (const offer of offers) {
    inRange("serverMaxWindowBits", offer.serverMaxWindowBits ?? maxBits, minBits, maxBits)
    inRange("clientMaxWindowBits", clientBits(offer), minBits, maxBits)
  }
  return {
    serverMaxWindowBits,
    clientMaxWindowBits,
    serverNoContextTakeover,
    clientNoContextTakeover,
    offers,
    threshold: inRange("threshold", options.threshold ?? 1024, 0, Number.MAX_SAFE_INTEGER),
    filter,
    level: inRange("level", options.level ?? 6, 1, 9),
    memLevel: inRange("memLevel", options.memLevel ?? 5, 1, 9),
    maxRatio
  }
}

/**
 * The extensions that a client offers, in order of preference.
 *
 * @example
 * ```ts
 * import { Extension, PermessageDeflate } from "@effect-websocket/protocol"
 *
 * console.log(Extension.format(PermessageDeflate.offer(PermessageDeflate.resolve({ serverMaxWindowBits: 15 }))))
 * // "permessage-deflate; client_max_window_bits"
 * ```
 *
 * @since 0.1.0
 * @category client
 */
export const offer = (settings: Settings): ReadonlyArray<Extension.Extension> => settings.offers.map(format)

/**
 * Accepts the first valid offer of permessage-deflate and returns the agreement; `undefined` if there is none. It
 * declines an offer with a parameter that is unknown, invalid or repeated (RFC 7692 §7.1), and ignores other
 * extensions.
 *
 * @since 0.1.0
 * @category server
 */
export const accept = (extensions: ReadonlyArray<Extension.Extension>, settings: Settings): Agreement | undefined => {
  for (const extension of extensions) {
    if (extension.name !== name) continue
    const offered = parse(extension, "offer")
    if (isParameters(offered)) return acceptOffer(offered, settings)
  }
  return undefined
}

/**
 * Checks a server's answer and returns the agreement; `undefined` if the server declined. Fails with a remote
 * `ProtocolError` for an answer with a parameter that is unknown, invalid or repeated, that fits none of the offers,
 * or that names the extension twice (RFC 7692 §7.1).
 *
 * @since 0.1.0
 * @category client
 */
export const check = (
  extensions: ReadonlyArray<Extension.Extension>,
  settings: Settings
): Agreement | ProtocolError | undefined => {
  const [extension, ...more] = extensions.filter((candidate) => candidate.name === name)
  if (extension === undefined) return undefined
  if (more.length > 0) return remoteProtocolError("permessage-deflate is accepted twice", "RFC 7692 §5")
  const answer = parse(extension, "answer")
  if (!isParameters(answer)) return answer
  const accepted = settings.offers.filter((offered) => answers(answer, offered))
  if (accepted.length === 0)
    return remoteProtocolError("The answer fits no offer of permessage-deflate", "RFC 7692 §7.1")
  return {
    extension,
    // The answer does not always tell which offer was accepted, so the client keeps the promises of all that fit.
    outbound: {
      windowBits: Math.min(settings.clientMaxWindowBits, clientBits(answer), ...accepted.map(clientBits)),
      contextTakeover: ![answer, ...accepted].some((parameters) => parameters.clientNoContextTakeover)
    },
    inbound: {
      windowBits: answer.serverMaxWindowBits ?? maxBits,
      contextTakeover: answer.serverNoContextTakeover !== true
    }
  }
}

/**
 * Parses the parameters of permessage-deflate. Fails with a remote `ProtocolError` for what RFC 7692 §7.1 forbids: a
 * parameter that is unknown or repeated, and a value that is missing, superfluous or not an integer from 8 to 15
 * without leading zeros.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse = (extension: Extension.Extension, kind: "offer" | "answer"): Parameters | ProtocolError => {
  const found: { -readonly [Key in keyof Parameters]: Parameters[Key] } = {}
  for (const [parameter, value] of extension.parameters) {
    const key = keys.get(parameter)
    if (key === undefined) return remoteProtocolError(`The parameter ${parameter} is unknown`, "RFC 7692 §7.1")
    if (found[key] !== undefined) return remoteProtocolError(`The parameter ${parameter} comes twice`, "RFC 7692 §7.1")
    const bits = value === true ? undefined : windowBits(value)
    const illegal = () => remoteProtocolError(`The parameter ${parameter} has an illegal value`, "RFC 7692 §7.1")
    switch (key) {
      case "serverNoContextTakeover":
      case "clientNoContextTakeover":
        if (value !== true) return illegal()
        found[key] = true
        break
      case "serverMaxWindowBits":
        if (bits === undefined) return illegal()
        found[key] = bits
        break
      case "clientMaxWindowBits":
        if (bits === undefined && (value !== true || kind === "answer")) return illegal()
        found[key] = bits ?? true
        break
    }
  }
  return found
}

/**
 * The extension with the given parameters, as it stands in a header.
 *
 * @since 0.1.0
 * @category formatting
 */
export const format = (parameters: Parameters): Extension.Extension =>
  Extension.make(
    name,
    [...keys].flatMap(([parameter, key]) => {
      const value = parameters[key]
      return value === undefined || value === false ? [] : [[parameter, value === true ? true : String(value)] as const]
    })
  )

const minBits = 8
const maxBits = 15

const keys = new Map([
  ["server_no_context_takeover", "serverNoContextTakeover"],
  ["client_no_context_takeover", "clientNoContextTakeover"],
  ["server_max_window_bits", "serverMaxWindowBits"],
  ["client_max_window_bits", "clientMaxWindowBits"]
] as const satisfies ReadonlyArray<readonly [string, keyof Parameters]>) as ReadonlyMap<string, keyof Parameters>

const isParameters = (parsed: Parameters | ProtocolError): parsed is Parameters => !("_tag" in parsed)

const windowBits = (value: string): number | undefined => {
  const bits = Number(value)
  return Number.isInteger(bits) && bits >= minBits && bits <= maxBits && String(bits) === value ? bits : undefined
}

const clientBits = ({ clientMaxWindowBits }: Parameters): number =>
  typeof clientMaxWindowBits === "number" ? clientMaxWindowBits : maxBits

const acceptOffer = (offered: Parameters, settings: Settings): Agreement => {
  const { clientMaxWindowBits, serverMaxWindowBits } = settings
  const serverNoContextTakeover = settings.serverNoContextTakeover || offered.serverNoContextTakeover === true
  const limitsClient = offered.clientMaxWindowBits !== undefined
  const clientNoContextTakeover =
    settings.clientNoContextTakeover ||
    // The client hints that it will not use context takeover (§7.1.1.2), so the server need not keep a window.
    offered.clientNoContextTakeover === true ||
    // §7.1.2.2: the server must not limit the window of a client that did not offer it.
    (!limitsClient && clientMaxWindowBits < maxBits)
  const outboundBits = Math.min(serverMaxWindowBits, offered.serverMaxWindowBits ?? maxBits)
  const inboundBits = limitsClient ? Math.min(clientMaxWindowBits, clientBits(offered)) : maxBits
  return {
    extension: format({
      serverNoContextTakeover,
      clientNoContextTakeover,
      serverMaxWindowBits: offered.serverMaxWindowBits === undefined ? undefined : outboundBits,
      clientMaxWindowBits: limitsClient ? inboundBits : undefined
    }),
    outbound: { windowBits: outboundBits, contextTakeover: !serverNoContextTakeover },
    inbound: { windowBits: inboundBits, contextTakeover: !clientNoContextTakeover }
  }
}

/** Whether an answer accepts an offer (RFC 7692 §7.1.1, §7.1.2). */
const answers = (answer: Parameters, offered: Parameters): boolean => {
  if (offered.serverNoContextTakeover === true && answer.serverNoContextTakeover !== true) return false
  if (
    offered.serverMaxWindowBits !== undefined &&
    (answer.serverMaxWindowBits ?? maxBits + 1) > offered.serverMaxWindowBits
  ) {
    return false
  }
  return (
    answer.clientMaxWindowBits === undefined ||
    (offered.clientMaxWindowBits !== undefined && clientBits(answer) <= clientBits(offered))
  )
}

const inRange = (option: string, value: number, min: number, max: number): number => {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${option} must be an integer from ${min} to ${max}, but is ${value}`)
  }
  return value
}
