/**
 * Extensions as the opening handshake names them (RFC 6455 §9.1).
 *
 * @since 0.1.0
 */
import { localProtocolError, type ProtocolError } from "./Errors.js"
import * as HeaderField from "./HeaderField.js"

/**
 * An extension with its parameters, in order; a parameter without a value is `true`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Extension extends HeaderField.Element {}

/**
 * An extension.
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
 * Whether a parameter is there, with or without a value.
 *
 * @since 0.1.0
 * @category accessors
 */
export const has = (extension: Extension, parameter: string): boolean => get(extension, parameter) !== undefined

/**
 * The value of a parameter: a text, `true` where it has none, `undefined` where the parameter is missing. The first one
 * counts where there are several.
 *
 * @since 0.1.0
 * @category accessors
 */
export const get = (extension: Extension, parameter: string): string | true | undefined =>
  extension.parameters.find(([name]) => name === parameter)?.[1]

/**
 * The first extension with a name, `undefined` if the list has none: its parameters, or whether it is there.
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
 * Whether a list has an extension with a name.
 *
 * @since 0.1.0
 * @category accessors
 */
export const includes = (extensions: ReadonlyArray<Extension>, name: string): boolean =>
  find(extensions, name) !== undefined

/**
 * Parses the value of `Sec-WebSocket-Extensions`, or the values of several such lines. What is not a list of extensions is a remote `ProtocolError`.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse = (lines: string | ReadonlyArray<string>): ReadonlyArray<Extension> | ProtocolError =>
  HeaderField.parseElements(lines)

/**
 * The value of `Sec-WebSocket-Extensions`. A name or value that is not a token is a local `ProtocolError`.
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
