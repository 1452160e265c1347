/**
 * Subprotocols: what messages mean, agreed in the opening handshake (RFC 6455 §1.9).
 *
 * @since 0.1.0
 */
import { localProtocolError, remoteProtocolError, type ProtocolError } from "./Errors.js"
import * as HeaderField from "./HeaderField.js"

/**
 * Chooses one of the subprotocols that a client offers, in the client's order of preference, or none. `select` calls it,
 * never with an empty list.
 *
 * @since 0.1.0
 * @category models
 */
export type Selector = (offered: ReadonlyArray<string>) => string | undefined

/**
 * Parses the value of `Sec-WebSocket-Protocol`, or the values of several such lines. What is not a list of tokens, or names one twice, is a remote
 * `ProtocolError`.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse = (lines: string | ReadonlyArray<string>): ReadonlyArray<string> | ProtocolError => {
  const tokens = HeaderField.parseTokens(lines)
  return "_tag" in tokens || areUnique(tokens)
    ? tokens
    : remoteProtocolError("A subprotocol is offered twice", "RFC 6455 §4.1")
}

/**
 * The value of `Sec-WebSocket-Protocol`. A name that is not a token or comes twice is a local `ProtocolError`.
 *
 * @example
 * ```ts
 * import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
 *
 * console.log(Subprotocol.format(["chat.v2", "chat.v1"])) // "chat.v2, chat.v1"
 * ```
 *
 * @since 0.1.0
 * @category formatting
 */
export const format = (protocols: ReadonlyArray<string>): string | ProtocolError => {
  const invalid = protocols.findIndex((protocol) => !HeaderField.isToken(protocol))
  // Its place and not its text: some put secrets there, because browsers send no headers.
  if (invalid !== -1) return localProtocolError(`Subprotocol ${invalid + 1} is not a token`, "RFC 6455 §4.1")
  return areUnique(protocols)
    ? protocols.join(", ")
    : localProtocolError("A subprotocol is offered twice", "RFC 6455 §4.1")
}

/**
 * Selects the first of the server's subprotocols that the client offers.
 *
 * @since 0.1.0
 * @category selectors
 */
export const byServerPreference =
  (supported: ReadonlyArray<string>): Selector =>
  (offered) =>
    supported.find((protocol) => offered.includes(protocol))

/**
 * The subprotocol for a client: the first of the `supported` ones that it offers, or the one that a selector chooses. A
 * client that offers nothing gets none, and the selector is not called.
 *
 * @example
 * ```ts
 * import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
 *
 * console.log(Subprotocol.select(["chat.v2", "chat.v1"], ["chat.v1", "chat.v2"])) // "chat.v2"
 * console.log(Subprotocol.select(() => "chat.v1", [])) // undefined
 * ```
 *
 * @since 0.1.0
 * @category selectors
 */
export const select = (
  supported: ReadonlyArray<string> | Selector,
  offered: ReadonlyArray<string>
): string | undefined => {
  if (offered.length === 0) return undefined
  return typeof supported === "function" ? supported(offered) : byServerPreference(supported)(offered)
}

const areUnique = (names: ReadonlyArray<string>): boolean => new Set(names).size === names.length
