/**
 * Subprotocols, which give messages a meaning. The opening handshake agrees on one (RFC 6455 §1.9).
 *
 * @since 0.1.0
 */
import { localProtocolError, remoteProtocolError, type ProtocolError } from "./Errors.js"
import * as HeaderField from "./HeaderField.js"

/**
 * Chooses one of the subprotocols that a client offers, or none. The offers are in the client's order of preference.
 * `select` never calls it with an empty list.
 *
 * @since 0.1.0
 * @category models
 */
export type Selector = (offered: ReadonlyArray<string>) => string | undefined

/**
 * Parses the value of `Sec-WebSocket-Protocol`, or the values of several such lines. Fails with a remote
 * `ProtocolError` for anything that is not a list of tokens, and for a name that comes twice (RFC 6455 §4.1).
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
 * Formats the value of `Sec-WebSocket-Protocol`. Fails with a local `ProtocolError` for a name that is not a token or
 * comes twice (RFC 6455 §4.1).
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
  // The error has its position, not its text: some apps put secrets there, because browsers cannot set headers.
  if (invalid !== -1) return localProtocolError(`Subprotocol ${invalid + 1} is not a token`, "RFC 6455 §4.1")
  return areUnique(protocols)
    ? protocols.join(", ")
    : localProtocolError("A subprotocol is offered twice", "RFC 6455 §4.1")
}

/**
 * Makes a selector that chooses the first of the server's subprotocols that the client offers.
 *
 * @since 0.1.0
 * @category selectors
 */
export const byServerPreference =
  (supported: ReadonlyArray<string>): Selector =>
  (offered) =>
    supported.find((protocol) => offered.includes(protocol))

/**
 * Chooses the subprotocol for a client: the first of the `supported` ones that it offers, or the choice of a
 * selector. The result is `undefined` for a client that offers none; the selector is not called then.
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
