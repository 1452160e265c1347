/**
 * Extensions in the headers of the opening handshake (RFC 6455 §9.1).
 *
 * @since 0.1.0
 */
import { localProtocolError, type ProtocolError } from "./Errors.js"
import * as HeaderField from "./HeaderField.js"

/**
 * An extension with its parameters, in order. The value of a parameter without one is `true`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Extension extends HeaderField.Element {}

/**
 * Makes an extension from its name and parameters.
 *
 * @example
 * ```ts
 * import * as Extension from "@effect-websocket/protocol/Extension"
 *
 * const extension = Extension.make("permessage-deflate", [["client_max_window_bits", true]])
 * console.log(Extension.has(extension, "client_max_window_bits")) // true
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (name: string, parameters: ReadonlyArray<HeaderField.Parameter> = []): Extension => ({
  name,
  parameters
})

/**
 * Whether an extension has a parameter, with or without a value.
 *
 * @since 0.1.0
 * @category accessors
 */
export const has = (extension: Extension, parameter: string): boolean => get(extension, parameter) !== undefined

/**
 * The value of a parameter: a string, `true` if it has no value, or `undefined` if the extension does not have it. If
 * it comes more than once, the first one counts.
 *
 * @since 0.1.0
 * @category accessors
 */
export const get = (extension: Extension, parameter: string): string | true | undefined =>
  extension.parameters.find(([name]) => name === parameter)?.[1]

/**
 * The first extension of a list with a name; `undefined` if there is none.
 *
 * @example
 * ```ts
 * import * as Extension from "@effect-websocket/protocol/Extension"
 *
 * const extensions = [Extension.make("permessage-deflate", [["server_max_window_bits", "10"]])]
 * console.log(Extension.find(extensions, "permessage-deflate")?.parameters) // [ [ "server_max_window_bits", "10" ] ]
 * console.log(Extension.find(extensions, "x-other")) // undefined
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const find = (extensions: ReadonlyArray<Extension>, name: string): Extension | undefined =>
  extensions.find((extension) => extension.name === name)

/**
 * Whether a list has an extension with the given name.
 *
 * @since 0.1.0
 * @category accessors
 */
export const includes = (extensions: ReadonlyArray<Extension>, name: string): boolean =>
  find(extensions, name) !== undefined

/**
 * Parses the value of `Sec-WebSocket-Extensions`, or the values of several such lines. Fails with a remote
 * `ProtocolError` for anything that is not a list of extensions (RFC 6455 §9.1).
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse = (lines: string | ReadonlyArray<string>): ReadonlyArray<Extension> | ProtocolError =>
  HeaderField.parseElements(lines)

/**
 * Formats the value of `Sec-WebSocket-Extensions`. Fails with a local `ProtocolError` for a name or value that is not
 * a token (RFC 6455 §9.1).
 *
 * @since 0.1.0
 * @category formatting
 */
export const format = (extensions: ReadonlyArray<Extension>): string | ProtocolError => {
  for (const { name, parameters } of extensions) {
    const texts = [name, ...parameters.flatMap(([key, value]) => (value === true ? [key] : [key, value]))]
    if (!texts.every(HeaderField.isToken)) {
      return localProtocolError(`The extension ${JSON.stringify(name)} has a part that is not a token`, "RFC 6455 §9.1")
    }
  }
  return HeaderField.formatElements(extensions)
}
