/**
 * The opcodes of frames (RFC 6455 §5.2).
 *
 * @since 0.1.0
 */

const registry = {
  Continuation: 0x0,
  Text: 0x1,
  Binary: 0x2,
  Close: 0x8,
  Ping: 0x9,
  Pong: 0xa
} as const

/**
 * The name of an opcode.
 *
 * @since 0.1.0
 * @category models
 */
export type Name = keyof typeof registry

/**
 * An opcode that RFC 6455 defines.
 *
 * @since 0.1.0
 * @category models
 */
export type Opcode = (typeof registry)[Name]

/**
 * A frame that continues a fragmented message.
 *
 * @since 0.1.0
 * @category constants
 */
export const Continuation = registry.Continuation

/**
 * A text frame, whose message is UTF-8.
 *
 * @since 0.1.0
 * @category constants
 */
export const Text = registry.Text

/**
 * A binary frame, whose message is arbitrary bytes.
 *
 * @since 0.1.0
 * @category constants
 */
export const Binary = registry.Binary

/**
 * A Close frame, which begins or answers the closing handshake.
 *
 * @since 0.1.0
 * @category constants
 */
export const Close = registry.Close

/**
 * A ping frame, which the peer answers with a pong.
 *
 * @since 0.1.0
 * @category constants
 */
export const Ping = registry.Ping

/**
 * A pong frame, which answers a ping.
 *
 * @since 0.1.0
 * @category constants
 */
export const Pong = registry.Pong

const namesByOpcode = new Map<number, Name>(
  (Object.keys(registry) as ReadonlyArray<Name>).map((name) => [registry[name], name])
)

/**
 * The name of an opcode, or `undefined` for a reserved opcode.
 *
 * @example
 * ```ts
 * import * as Opcode from "@effect-websocket/protocol/Opcode"
 *
 * console.log(Opcode.toName(0x9)) // "Ping"
 * console.log(Opcode.toName(0x3)) // undefined
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const toName = (opcode: number): Name | undefined => namesByOpcode.get(opcode)

/**
 * The opcode with a name.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromName = (name: Name): Opcode => registry[name]

/**
 * Whether a number is an opcode that RFC 6455 defines. The others from 0x0 to 0xF are reserved.
 *
 * @since 0.1.0
 * @category guards
 */
export const isOpcode = (opcode: number): opcode is Opcode =>
  Number.isInteger(opcode) && ((opcode >= 0x0 && opcode <= 0x2) || (opcode >= 0x8 && opcode <= 0xa))

/**
 * Whether a number is an opcode that RFC 6455 reserves: 0x3 to 0x7 for further data frames, 0xB to 0xF for further control
 * frames. See `opcodes` of `Connection.Options` and of `FrameDecoder.Options`.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isReserved = (opcode: number): boolean =>
  Number.isInteger(opcode) && ((opcode >= 0x3 && opcode <= 0x7) || (opcode >= 0xb && opcode <= 0xf))

/**
 * Whether an opcode belongs to a control frame (RFC 6455 §5.5): Close, Ping, Pong, or a reserved opcode from 0xB to
 * 0xF.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isControl = (opcode: number): boolean => (opcode & 0x8) !== 0
