/**
 * @since 0.1.0
 */
export * as CloseCode from "./CloseCode.js"
/**
 * @since 0.1.0
 */
export * as Compressor from "./Compressor.js"
/**
 * @since 0.1.0
 */
export * as Connection from "./Connection.js"
/**
 * @since 0.1.0
 */
export * as Errors from "./Errors.js"
/**
 * @since 0.1.0
 */
export * as ExtendedConnect from "./ExtendedConnect.js"
/**
 * @since 0.1.0
 */
export * as Extension from "./Extension.js"
/**
 * @since 0.1.0
 */
export * as Frame from "./Frame.js"
/**
 * @since 0.1.0
 */
export * as FrameDecoder from "./FrameDecoder.js"
/**
 * @since 0.1.0
 */
export * as FrameEncoder from "./FrameEncoder.js"
/**
 * @since 0.1.0
 */
export * as Handshake from "./Handshake.js"
/**
 * @since 0.1.0
 */
export * as HeaderField from "./HeaderField.js"
/**
 * @since 0.1.0
 */
export * as Limits from "./Limits.js"
/**
 * @since 0.1.0
 */
export * as Mask from "./Mask.js"
/**
 * @since 0.1.0
 */
export * as Message from "./Message.js"
/**
 * @since 0.1.0
 */
export * as MessageAssembler from "./MessageAssembler.js"
/**
 * @since 0.1.0
 */
export * as MessagePart from "./MessagePart.js"
/**
 * @since 0.1.0
 */
export * as Opcode from "./Opcode.js"
/**
 * @since 0.1.0
 */
export * as Origin from "./Origin.js"
/**
 * @since 0.1.0
 */
export * as PermessageDeflate from "./PermessageDeflate.js"
/**
 * @since 0.1.0
 */
export * as Subprotocol from "./Subprotocol.js"
